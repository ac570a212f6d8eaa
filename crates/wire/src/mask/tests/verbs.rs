use super::*;

#[test]
fn what_stands_behind_words_of_a_program_is_masked() {
    let table = [
        (
            "npm config set //r.example/:_authToken PW",
            "npm config set //r.example/:_authToken ***",
        ),
        (
            "npm set --global //r/:_authToken PW",
            "npm set --global //r/:_authToken ***",
        ),
        (
            "aws configure set aws_secret_access_key PW --profile x",
            "aws configure set aws_secret_access_key *** --profile x",
        ),
        (
            "aws --profile x configure set aws_session_token PW",
            "aws --profile x configure set aws_session_token ***",
        ),
        (
            "git config --global x.token PW",
            "git config --global x.token ***",
        ),
        (
            "poetry config pypi-token.pypi PW",
            "poetry config pypi-token.pypi ***",
        ),
        ("vault login PW", "vault login ***"),
        (
            "sudo /usr/bin/vault login -no-print PW",
            "sudo /usr/bin/vault login -no-print ***",
        ),
        (
            "docker exec db redis-cli AUTH PW",
            "docker exec db redis-cli AUTH ***",
        ),
        ("redis-cli -h x AUTH me PW", "redis-cli -h x AUTH *** ***"),
        (
            "mc alias set n https://h KEY SECRET",
            "mc alias set n https://h *** ***",
        ),
        (
            "mc config host add n https://h KEY SECRET",
            "mc config host add n https://h *** ***",
        ),
        (
            "gh secret set NAME --body PW -R o/r",
            "gh secret set NAME --body *** -R o/r",
        ),
        (
            "gh -R o/r secret set NAME -b PW",
            "gh -R o/r secret set NAME -b ***",
        ),
        (
            "gh secret set NAME --body=PW",
            "gh secret set NAME --body=***",
        ),
        ("gh secret set NAME -bPW", "gh secret set NAME -b***"),
        (
            "kubectl create secret generic n --from-literal=a=PW --from-literal b=P=W",
            "kubectl create secret generic n --from-literal=a=*** --from-literal b=***",
        ),
        (
            "heroku config:set A=PW B=PW -a app",
            "heroku config:set A=*** B=*** -a app",
        ),
        (
            "flyctl secrets set A=PW B=PW",
            "flyctl secrets set A=*** B=***",
        ),
        (
            "fly -a app secrets set A=PW",
            "fly -a app secrets set A=***",
        ),
        (
            "aws ssm put-parameter --name n --value PW --type x",
            "aws ssm put-parameter --name n --value *** --type x",
        ),
        ("sqlplus me/PW@db", "sqlplus me/***@db"),
        (
            "sqlplus -s me/P@W@db @a/b.sql",
            "sqlplus -s me/***@db @a/b.sql",
        ),
        ("bin/sqlplus me/PW", "bin/sqlplus me/***"),
    ];
    check(&table);
    for (line, expected) in table {
        assert_eq!(masked_words(line), expected, "in words");
    }
    check(&[
        (
            "cd x && vault login PW; y z",
            "cd x && vault login ***; y z",
        ),
        ("vault login 'P W'", "vault login '***'"),
        ("sh -c 'vault login PW' x", "sh -c 'vault login ***' x"),
        (
            "npm config set '//r/:_authToken' 'P W'",
            "npm config set '//r/:_authToken' '***'",
        ),
        (
            "fly secrets set 'A=P W' B='P W' x",
            "fly secrets set 'A=***' B='***' x",
        ),
        (
            "kubectl create secret generic n --from-literal='a=P W' x",
            "kubectl create secret generic n --from-literal='a=***' x",
        ),
    ]);
}

#[test]
fn other_words_of_these_programs_stay() {
    check_plain(&[
        "vault status",
        "vault login -method=userpass username=me",
        "vault login -",
        "npm config set registry https://h",
        "npm config get //r/:_authToken -g",
        "git config user.name token",
        "git commit -m token",
        "aws s3 cp a b --value x",
        "gh pr create --body x -b y",
        "redis-cli -p 6379 get auth",
        "mc alias list n url x y",
        "kubectl get pods -n x",
        "fly deploy --env A=b",
        "sqlplus / as sysdba @a/b.sql",
        "sqlplus me@//h:1521/d",
        "sqlplus /nolog",
        "echo vault login x",
        "pytest -k vault login x",
        "python -m pytest vault login x",
    ]);
}
