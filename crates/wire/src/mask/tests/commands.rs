use super::*;

#[test]
fn the_word_behind_a_flag_that_is_called_a_secret_is_one() {
    check(&[
        ("psql --password hunter2 -d x", "psql --password *** -d x"),
        (
            "psql --password 'two words' -d x",
            "psql --password '***' -d x",
        ),
        ("x --auth hunter2 y", "x --auth *** y"),
        ("x --token 123456 y", "x --token *** y"),
        ("x --password --PW y", "x --password *** y"),
        ("x --password --hunter2 y", "x --password *** y"),
        ("x --token -xyz y", "x --token *** y"),
        ("x --token -- y", "x --token -- y"),
        ("x --password --quiet y", "x --password --quiet y"),
        ("x --password --host=db y", "x --password --host=db y"),
        ("x --password -h db", "x --password -h db"),
        ("x --password -vvv", "x --password -vvv"),
        ("x --password - <f", "x --password - <f"),
        ("x --password && y", "x --password && y"),
        (
            "x ['--password', 'hunter2', 'y']",
            "x ['--password', '***', 'y']",
        ),
        (
            r#"["x","--password","hunter2"]"#,
            r#"["x","--password","***"]"#,
        ),
    ]);
    assert_eq!(
        masked_words("x --password --PW --token -xyz -q"),
        "x --password *** --token *** -q"
    );
    assert_eq!(
        masked_words("x --password --quiet -v"),
        "x --password --quiet -v"
    );
}

#[test]
fn in_words_a_value_may_hold_anything() {
    let mut command = [
        "--password=my long&pass'word",
        "psql",
        "--password",
        "hunter 2",
        "--secret",
        "-x",
        "--token=abc",
        "file",
    ]
    .map(str::to_owned);
    words(&mut command);
    assert_eq!(
        command,
        [
            "--password=***",
            "psql",
            "--password",
            "***",
            "--secret",
            "-x",
            "--token=***",
            "file"
        ]
    );
}

#[test]
fn names_with_passwords_are_masked_behind_the_name() {
    let table = [
        ("curl -u user:PW https://h", "curl -u user:*** https://h"),
        ("curl -uuser:PW https://h", "curl -uuser:*** https://h"),
        (
            "curl -sSfLu user:PW https://h",
            "curl -sSfLu user:*** https://h",
        ),
        (
            "curl --user user:PW https://h",
            "curl --user user:*** https://h",
        ),
        (
            "curl --user=user:PW https://h",
            "curl --user=user:*** https://h",
        ),
        ("curl -U user:PW https://h", "curl -U user:*** https://h"),
        (
            "curl --proxy-user user:P:W https://h",
            "curl --proxy-user user:*** https://h",
        ),
        (
            "curl -u 0123456789abcdef0123: https://h",
            "curl -u ***: https://h",
        ),
        ("curl -E a.pem:PW https://h", "curl -E a.pem:*** https://h"),
        ("curl -b a=b https://h", "curl -b *** https://h"),
        ("x --cookie a=b", "x --cookie ***"),
        (
            "/usr/bin/curl https://h?a=1&b=2 -u user:PW",
            "/usr/bin/curl https://h?a=1&b=2 -u user:***",
        ),
        ("tool --user me:PW", "tool --user me:***"),
        (
            "skopeo copy --src-creds me:PW a b",
            "skopeo copy --src-creds me:*** a b",
        ),
        ("http -a me:PW https://h", "http -a *** https://h"),
        ("smbclient -U me%PW //h/x", "smbclient -U me%*** //h/x"),
        ("lftp -u me,PW h", "lftp -u me,*** h"),
    ];
    check(&table);
    for (line, expected) in table {
        assert_eq!(masked_words(line), expected);
    }
    check(&[
        (
            "curl -u 'user:P W' https://h",
            "curl -u 'user:***' https://h",
        ),
        (
            "curl -u user:'P W' https://h",
            "curl -u user:'***' https://h",
        ),
        (
            "curl --user='user:P W' https://h",
            "curl --user='user:***' https://h",
        ),
        ("curl -b 'a=b; c=d' https://h", "curl -b '***' https://h"),
    ]);
}

#[test]
fn programs_take_passwords_by_short_flags() {
    let table = [
        ("mysql -uroot -pPW db", "mysql -uroot -p*** db"),
        ("mysqldump -h db -BpPW x", "mysqldump -h db -Bp*** x"),
        ("/usr/bin/mariadb -pPW", "/usr/bin/mariadb -p***"),
        ("redis-cli -h x -a PW ping", "redis-cli -h x -a *** ping"),
        ("sshpass -p PW ssh -p 22 h", "sshpass -p *** ssh -p 22 h"),
        ("sshpass -pPW ssh -p22 h", "sshpass -p*** ssh -p22 h"),
        ("sshpass -p -PW ssh h", "sshpass -p *** ssh h"),
        ("mongo -u root -p PW admin", "mongo -u root -p *** admin"),
        ("mongosh -pPW", "mongosh -p***"),
        (
            "ldapsearch -x -D cn=a -w PW",
            "ldapsearch -x -D cn=a -w ***",
        ),
        ("ldapsearch -xw PW", "ldapsearch -xw ***"),
        ("sqlcmd -S h -U sa -P PW", "sqlcmd -S h -U sa -P ***"),
        (
            "ssh-keygen -t rsa -N PW -f x",
            "ssh-keygen -t rsa -N *** -f x",
        ),
        ("openssl enc -k PW -in x", "openssl enc -k *** -in x"),
        ("zip -rP PW a.zip b", "zip -rP *** a.zip b"),
        ("7z x -so -pPW a.7z", "7z x -so -p*** a.7z"),
        // Long flags of mysql are none of these.
        ("7z x -pprofile a.7z", "7z x -p*** a.7z"),
        ("7z x -pipe a.7z", "7z x -p*** a.7z"),
        ("sshpass -p true ssh h", "sshpass -p *** ssh h"),
        ("sshpass -plugin ssh h", "sshpass -p*** ssh h"),
        (
            "twine upload -u me -p PW dist/x",
            "twine upload -u me -p *** dist/x",
        ),
        ("docker login -u me -p PW h", "docker login -u me -p *** h"),
        (
            "helm registry login -p PW h",
            "helm registry login -p *** h",
        ),
        ("poetry publish -p PW", "poetry publish -p ***"),
    ];
    check(&table);
    for (line, expected) in table {
        assert_eq!(masked_words(line), expected);
    }
}

#[test]
fn a_program_is_found_where_a_command_begins() {
    check(&[
        ("sudo -u root mysql -pPW", "sudo -u root mysql -p***"),
        (
            "A=b env C=d timeout 5 mysqldump -pPW x",
            "A=b env C=d timeout 5 mysqldump -p*** x",
        ),
        (
            "docker exec -it db mysql -pPW",
            "docker exec -it db mysql -p***",
        ),
        (
            "kubectl exec pod -- redis-cli -a PW",
            "kubectl exec pod -- redis-cli -a ***",
        ),
        (
            "sh -c 'mysql -pPW db | gzip'",
            "sh -c 'mysql -p*** db | gzip'",
        ),
        ("sh -c mysql -pPW db", "sh -c mysql -p*** db"),
        (
            "bash -c \"mysql -p'P W' db\"",
            "bash -c \"mysql -p'***' db\"",
        ),
        ("cat x | mysql -pPW", "cat x | mysql -p***"),
        (
            "cd x && mysql -pPW; curl -u a:b h",
            "cd x && mysql -p***; curl -u a:*** h",
        ),
        ("cd x;mysql -pPW", "cd x;mysql -p***"),
        ("x=$(mysql -pPW)", "x=$(mysql -p***"),
        ("mysql \\\n  -pPW", "mysql \\\n  -p***"),
        ("echo\nmysql -pPW", "echo\nmysql -p***"),
    ]);
    // As the agent writes a script that has quotes.
    check(&[
        (
            r"sh -c 'mysql -p'\''P W'\'' db'",
            r"sh -c 'mysql -p'\''***'\'' db'",
        ),
        (
            r"sh -c 'mongo -p '\''P W'\'' db'",
            r"sh -c 'mongo -p '\''***'\'' db'",
        ),
        (
            r"sh -c 'x --password='\''P W'\'' y'",
            r"sh -c 'x --password='\''***'\'' y'",
        ),
        (
            r"sh -c 'sh -c '\''mysql -pPW'\'''",
            r"sh -c 'sh -c '\''mysql -p***'\'''",
        ),
    ]);
    let mut script = ["bash", "-c", "mysql -p'P W' db"].map(str::to_owned);
    words(&mut script);
    assert_eq!(script, ["bash", "-c", "mysql -p'***' db"]);
}

#[test]
fn flags_of_other_programs_stay() {
    check_plain(&[
        "pytest -p no:randomly -k mongo",
        "pytest -k mongo -p no:randomly -p 8080 -a x",
        "python -m pytest tests/mysql -k mysql -pno:randomly",
        "timeout 60 pytest -k mongo -p xdist",
        "docker compose run web pytest mongo -p xdist",
        "tox -e py -- mongo -p xdist",
        "docker run -p 8080:80 -u 1000 -u 1000:1000 --user 1000:1000 x",
        "docker run --user=node:app --name mongo -p 27017:27017 mongo",
        "docker run --name mysql -p3306:3306 mysql",
        "docker run --name login -p 127.0.0.1:80:80/tcp x",
        "ssh -p 8080 -a me@h",
        "x -u 1000 --user=me --user 1000:1000 --user www:www",
        "mysql -port 3306 -protocol tcp -P3306 -p db",
        "mysql -port=3306 -hpluto -uproxy",
        "mongo -port 27017 --port 27017",
        "redis-cli -p 6379 -ab x",
        "psql -U me -p 5432 -W",
        "curl -o x -a --user me -u me -b cookies.txt https://h",
        "pip install --user git+https://h.example/x",
        "tar -a -cf x.tar y",
        "grep -w word -a file",
        "ls -u a:b",
        "ps -p 12 -u root",
        "systemctl show mysql -p MainPID",
        "use -p to say it; mysql is one",
        "openssl req -key a.pem -keyout b.pem",
        "7z x -so -tzip a.zip",
        "don't ask -p x, it's mine -a y",
    ]);
    let line = "pytest -k 'mongo or x' -p no:randomly";
    assert_eq!(masked(line), line);
}
