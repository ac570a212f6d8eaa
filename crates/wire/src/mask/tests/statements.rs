use super::*;

#[test]
fn a_password_in_a_statement_is_masked() {
    let table = [
        (
            "ALTER USER me PASSWORD 'hunter2'",
            "ALTER USER me PASSWORD '***'",
        ),
        (
            "create role me with login encrypted password 'hun ter2' valid until 'x'",
            "create role me with login encrypted password '***' valid until 'x'",
        ),
        (
            "ALTER USER me PASSWORD 'it''s' CREATEDB",
            "ALTER USER me PASSWORD '***' CREATEDB",
        ),
        (
            "ALTER USER me PASSWORD $$hunter2$$",
            "ALTER USER me PASSWORD $$***$$",
        ),
        (
            "ALTER USER me PASSWORD E'hunter2'",
            "ALTER USER me PASSWORD E'***'",
        ),
        (
            "CREATE USER 'me'@'%' IDENTIFIED BY 'hunter2'; FLUSH",
            "CREATE USER 'me'@'%' IDENTIFIED BY '***'; FLUSH",
        ),
        (
            "CREATE USER me IDENTIFIED WITH mysql_native_password BY 'hunter2'",
            "CREATE USER me IDENTIFIED WITH mysql_native_password BY '***'",
        ),
        (
            "GRANT ALL ON *.* TO me IDENTIFIED BY PASSWORD 'hunter2'",
            "GRANT ALL ON *.* TO me IDENTIFIED BY PASSWORD '***'",
        ),
        (
            "ALTER USER me IDENTIFIED BY hunter2;",
            "ALTER USER me IDENTIFIED BY ***;",
        ),
        (
            "SET PASSWORD FOR me = PASSWORD('hunter2')",
            "SET PASSWORD FOR me = PASSWORD('***')",
        ),
        (
            "CREATE LOGIN me WITH PASSWORD = N'hunter2'",
            "CREATE LOGIN me WITH PASSWORD = ***",
        ),
    ];
    check(&table);
    for (statement, expected) in table {
        let mut command = ["psql", "-c", statement].map(str::to_owned);
        words(&mut command);
        assert_eq!(command[2], expected);
    }
}

#[test]
fn a_statement_may_stand_in_quotes() {
    check(&[
        (
            r#"psql -c "ALTER USER me PASSWORD 'hunter2'" -d x"#,
            r#"psql -c "ALTER USER me PASSWORD '***'" -d x"#,
        ),
        (
            r"psql -c 'ALTER USER me PASSWORD '\''hunter2'\''' -d x",
            r"psql -c 'ALTER USER me PASSWORD '\''***'\''' -d x",
        ),
        (
            r"psql -c 'ALTER USER me PASSWORD '\''a'\'''\''b'\''' -d x",
            r"psql -c 'ALTER USER me PASSWORD '\''***'\''' -d x",
        ),
        (
            r#"sh -c "mysql -e \"CREATE USER me IDENTIFIED BY 'hunter2'\"""#,
            r#"sh -c "mysql -e \"CREATE USER me IDENTIFIED BY '***'\"""#,
        ),
        (
            r#"mysql -e 'CREATE USER me IDENTIFIED BY "hunter2"'"#,
            r#"mysql -e 'CREATE USER me IDENTIFIED BY "***"'"#,
        ),
    ]);
}

#[test]
fn what_is_no_statement_stays() {
    check_plain(&[
        "grep password 'tests/x'",
        "pytest -k password 'tests/x'",
        "who is identified by name",
        "ALTER USER me PASSWORD NULL",
        "ALTER USER me PASSWORD EXPIRE",
        "psql -c 'SELECT password FROM users'",
    ]);
}
