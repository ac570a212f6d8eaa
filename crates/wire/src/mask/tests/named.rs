use super::*;

#[test]
fn what_is_called_a_secret_is_masked() {
    check(&[
        ("psql --password=hunter2 -d x", "psql --password=*** -d x"),
        ("psql --password=a,b -d x", "psql --password=*** -d x"),
        ("psql --password='a b' -d x", "psql --password='***' -d x"),
        ("psql --password=a'b c'd -d x", "psql --password=*** -d x"),
        (
            "sh -c 'psql --password=a' b",
            "sh -c 'psql --password=***' b",
        ),
        (
            "psql '--password=my long pass' -d x",
            "psql '--password=***' -d x",
        ),
        (
            "env DB_PASSWORD=hunter2 pytest",
            "env DB_PASSWORD=*** pytest",
        ),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
        ("MYSQL_PWD=/hunter2 mysql", "MYSQL_PWD=*** mysql"),
        ("PGPASS=hunter2 psql", "PGPASS=*** psql"),
        ("x --pat hunter2 y", "x --pat *** y"),
        ("GH_PAT=hunter2 y", "GH_PAT=*** y"),
        ("x vault_pw=hunter2", "x vault_pw=***"),
        ("pw: hunter2", "pw: ***"),
        ("x passcode=hunter2", "x passcode=***"),
        ("x auth=hunter2", "x auth=***"),
        (
            r#"{"password":{"value":"hunter2"},"value":"a"}"#,
            r#"{"password":{"value":"***"},"value":"a"}"#,
        ),
        (
            r#"{"token": {"meta": {"n": 1}, "stringValue": "hunter2"}}"#,
            r#"{"token": {"meta": {"n": 1}, "stringValue": "***"}}"#,
        ),
        (
            r#"x "{\"password\":{\"value\":\"hunter2\"}}""#,
            r#"x "{\"password\":{\"value\":\"***\"}}""#,
        ),
        ("SSHPASS=hunter2 sshpass -e", "SSHPASS=*** sshpass -e"),
        (
            "REDISCLI_AUTH=hunter2 redis-cli",
            "REDISCLI_AUTH=*** redis-cli",
        ),
        ("pytest --api-key=abc tests", "pytest --api-key=*** tests"),
        ("pytest --auth=abc tests", "pytest --auth=*** tests"),
        ("x --token=123456", "x --token=***"),
        ("curl --oauth2-bearer abc h", "curl --oauth2-bearer *** h"),
        (
            "pip -i https://__token__:abc@h/x",
            "pip -i https://__token__:***@h/x",
        ),
        (
            r#"x '{"token": "abc", "n": 1}'"#,
            r#"x '{"token": "***", "n": 1}'"#,
        ),
        (
            r#"x "{\"token\": \"abc\", \"n\": 1}""#,
            r#"x "{\"token\": \"***\", \"n\": 1}""#,
        ),
        (r#"{"auth": "dTpwdw=="}"#, r#"{"auth": "***"}"#),
        (
            "x \"password\": \"two words, and more\" y",
            "x \"password\": \"***\" y",
        ),
        ("password=\"cut off", "password=\"***"),
        (
            "$x = ['password' => 'hunter2']",
            "$x = ['password' => '***']",
        ),
        ("the token password=hunter2", "the token password=***"),
        (
            "pytest -k token --password=hunter2",
            "pytest -k token --password=***",
        ),
        ("keytool -storepass hunter2 -v", "keytool -storepass *** -v"),
        (
            "openssl rsa -passin pass:hunter2",
            "openssl rsa -passin pass:***",
        ),
        (
            "wget --http-password=hunter2 u",
            "wget --http-password=*** u",
        ),
        (
            "wget --http-password hunter2 u",
            "wget --http-password *** u",
        ),
        ("wget --ftp-password hunter2 u", "wget --ftp-password *** u"),
        (
            "npm c set //r.example/:_auth=hunter2",
            "npm c set //r.example/:_auth=***",
        ),
    ]);
}

#[test]
fn keys_and_signatures_of_clouds_are_masked() {
    check(&[
        (
            "'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aB1+/==;EndpointSuffix=x'",
            "'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=***;EndpointSuffix=x'",
        ),
        (
            "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=aB1=",
            "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=***",
        ),
        (
            "https://a.example/c?sv=2024&sig=aB1%2B&se=2025",
            "https://a.example/c?sv=2024&sig=***&se=2025",
        ),
        (
            "https://a.example/c?X-Amz-Date=1&X-Amz-Signature=ab12&x=1",
            "https://a.example/c?X-Amz-Date=1&X-Amz-Signature=***&x=1",
        ),
        (
            "https://a.example/c?X-Goog-Signature=ab12",
            "https://a.example/c?X-Goog-Signature=***",
        ),
        (
            "https://a.example/c?AWSAccessKeyId=A&Signature=ab12&Expires=1",
            "https://a.example/c?AWSAccessKeyId=***&Signature=***&Expires=1",
        ),
        ("az --account-key aB1== -n x", "az --account-key *** -n x"),
    ]);
}

#[test]
fn headers_are_masked_to_their_end() {
    check(&[
        (
            "curl -H 'Authorization: Bearer abcdefgh1' x",
            "curl -H 'Authorization: ***' x",
        ),
        (
            "curl -H 'authorization: Digest username=\"a\", response=\"b\"' x",
            "curl -H 'authorization: ***' x",
        ),
        (
            "curl -H 'Proxy-Authorization: Basic dTpw' x",
            "curl -H 'Proxy-Authorization: ***' x",
        ),
        ("curl -H 'Cookie: a=b; c=d' x", "curl -H 'Cookie: ***' x"),
        (
            "curl -H 'set-cookie: a=b; Path=/' x",
            "curl -H 'set-cookie: ***' x",
        ),
        (
            "curl -H 'X-Api-Key: abc def' x",
            "curl -H 'X-Api-Key: ***' x",
        ),
        ("curl -H X-Auth-Token:abc x", "curl -H X-Auth-Token:*** x"),
        (
            "curl -H 'X-Functions-Key: abc' x",
            "curl -H 'X-Functions-Key: ***' x",
        ),
        (
            "curl -H 'Ocp-Apim-Subscription-Key: abc' x",
            "curl -H 'Ocp-Apim-Subscription-Key: ***' x",
        ),
        (
            "curl -H 'Private-Token: abc' x",
            "curl -H 'Private-Token: ***' x",
        ),
        (
            "{'Authorization': 'Bearer abc def'}",
            "{'Authorization': '***'}",
        ),
        ("x --authorization=Bearer abc y", "x --authorization=*** y"),
        ("x Basic dXNlcjpwYXNzd29yZA== y", "x Basic *** y"),
        ("x bearer abcdefgh12345678 y", "x bearer *** y"),
        ("x Bearer abcdefghabcdefgh y", "x Bearer *** y"),
    ]);
    assert_eq!(
        masked_words("curl -H Authorization:Digest,username=\"a\" x"),
        "curl -H Authorization:*** x"
    );
}

#[test]
fn what_only_sounds_like_a_secret_stays() {
    check_plain(&[
        "pytest --token-file /run/token -q",
        "pytest -k token tests/test_token.py",
        "pytest tests/test_token.py::TestToken::test_x",
        "pytest a.py::TestAuthorization::test_x b.py::TestCookie::test_y",
        "pytest tests/test_password.py:12",
        "python -m pytest -n 2 --author=me",
        "no token here",
        "a token is asked for",
        "train --max-tokens 100 --max-tokens=100 --tokenizer bert --tokenizer=bert",
        "x --auth basic --auth=oauth2 --auth-type=x --user-agent=y",
        "the auth: it failed",
        "cookie: sweet",
        "x basic authentication-scheme of old",
        "x bearer authentication",
        "ansible-playbook --ask-pass site.yml --ask-become-pass x",
        "docker login --password-stdin registry",
        "x --no-token y --no-password z",
        "PWD=/home/me OLDPWD=/ env",
        "SharedAccessKeyName=Root sig=x signature=y",
        "x --monkey=a keyboard=b compass=c",
        "secret://vault/x",
        "ssh -o PasswordAuthentication=no me@h",
        "gpg --passphrase-fd 3 --passphrase-fd=3",
        "git config credential.helper store",
        "passwordless=yes secretary=me",
        "test_token=yes password=None",
        "x --use-token=true --use-token true --no-secret=off",
        "PASSWORD_HASHERS=x.y.z AUTH_PASSWORD_VALIDATORS=x",
        "pytest --cov=token:branch",
        "pytest --deselect tests/test_auth.py::test_password: works",
        "x auth=basic --path x spat=1 compat=2",
    ]);
    let line = "pytest --deselect 'tests/test_auth.py::test_password: works' -q";
    assert_eq!(masked(line), line);
    let line = r#"{"token": {"id": 1}, "secrets": [{"a": 1}]}"#;
    assert_eq!(masked(line), line);
}

#[test]
fn of_a_test_only_parameters_that_look_like_a_secret_are_masked() {
    for (id, expected) in [
        ("t.py::test[password=hunter2]", "t.py::test[password=***]"),
        ("t.py::test[token=ID]", "t.py::test[token=ID]"),
        (
            "t.py::test[token=identifier]",
            "t.py::test[token=identifier]",
        ),
        (
            "t.py::test_token_refresh[secret]",
            "t.py::test_token_refresh[secret]",
        ),
        (
            "t.py::test[--password-a1b2c3]",
            "t.py::test[--password-a1b2c3]",
        ),
        (
            "t.py::test[--password a1b2c3-x]",
            "t.py::test[--password ***",
        ),
        ("t.py::test[cmd -p a1b2c3]", "t.py::test[cmd -p a1b2c3]"),
        (
            "t.py::test[x-amz-security-token=FwoGZXIvYXdzE]",
            "t.py::test[x-amz-security-token=***]",
        ),
        ("t.py::test[auth=Ab12Cd34Ef]", "t.py::test[auth=***]"),
        (
            "t.py::test[token=TestTokenRefresh]",
            "t.py::test[token=TestTokenRefresh]",
        ),
        ("t.py::test[auth=required]", "t.py::test[auth=required]"),
        ("t.py::TestToken::test_x", "t.py::TestToken::test_x"),
    ] {
        assert_eq!(masked_id(id), expected);
    }
}
