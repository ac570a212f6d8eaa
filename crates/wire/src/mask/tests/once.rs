//! What is masked is the same when it is masked again, whatever it was.

use proptest::prelude::*;

use super::*;

fn hold_text(line: &str) -> Result<(), TestCaseError> {
    let once = masked(line);
    prop_assert_eq!(&masked(&once), &once, "of {:?}", line);
    prop_assert!(once.len() <= 2 * line.len() + 8, "{:?} is long", once);
    let once = masked_id(line);
    prop_assert_eq!(&masked_id(&once), &once, "as an id, of {:?}", line);
    Ok(())
}

fn hold_words(mut command: Vec<String>) -> Result<(), TestCaseError> {
    let before = command.join("\n");
    words(&mut command);
    let once = command.clone();
    words(&mut command);
    prop_assert_eq!(&command, &once, "of {:?}", before);
    prop_assert!(
        once.join("\n").len() <= 2 * before.len() + 8,
        "{:?} is long",
        once
    );
    Ok(())
}

/// Pieces of what the rules look for, and of what stands around it.
fn piece() -> impl Strategy<Value = String> {
    let pieces = vec![
        " ",
        " ",
        " ",
        "\n",
        "'",
        "\"",
        "\\",
        "=",
        ":",
        "::",
        "//",
        "://",
        "@",
        "/",
        "-",
        "--",
        ",",
        ";",
        "|",
        "&",
        "[",
        "]",
        "(",
        "{",
        "}",
        "?",
        "#",
        "%",
        "*",
        "**",
        "***",
        "a",
        "B1",
        "é",
        "h.example",
        ":80",
        "password",
        "--password",
        "--token",
        "token",
        "--auth",
        "api_key",
        "cookie",
        "sig",
        "Authorization: ",
        "Bearer ",
        "hunter2",
        "mysql",
        "-p",
        "-pPW",
        "curl",
        "-u",
        "--user",
        "a:b",
        "docker",
        "login",
        "sudo",
        "sh -c ",
        "sshpass",
        "pytest",
        "ghp_a1B2c3D4e5F6g7H8a1B2",
        "sk-a1B2c3D4e5F6g7H8a1B2",
        "key-0123456789abcdef0123456789abcdef",
        "AKIAABCDEFGHIJKLMNOP",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "https://u:p@h/x",
        "sha256:",
        "hooks.slack.com/services/",
        "0123456789abcdef0123",
        "=>",
        "\\n",
        "x-oauth-basic",
        "ALTER ",
        " PASSWORD '",
        "IDENTIFIED BY ",
        "$$",
        "\"password\":{",
        "\"value\":",
        "pw:",
        "auth=",
        "true",
        "--cov=",
        "::test_",
        "vault login ",
        "npm config set ",
        "sqlplus ",
        "kubectl --from-literal",
        "fly secrets set ",
        INNER_QUOTE,
    ];
    prop_oneof![
        8 => proptest::sample::select(pieces).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_masked_once(line in ".{0,200}") {
        hold_text(&line)?;
        hold_words(line.split(' ').map(str::to_owned).collect())?;
    }

    #[test]
    fn a_text_of_secrets_and_their_signs_is_masked_once(line in line()) {
        hold_text(&line)?;
    }

    #[test]
    fn words_of_secrets_and_their_signs_are_masked_once(
        command in proptest::collection::vec(line(), 0..8)
    ) {
        hold_words(command)?;
    }
}

#[test]
fn what_once_was_masked_further_is_masked_once() {
    for line in [
        "x --password=hunter2 --token abc",
        "Authorization: Bearer abcdefgh1",
        "postgres://u:p@h",
        "-----BEGIN PRIVATE KEY-----db --password=https://u:p@h/x]ab",
        "--pass-it -H 'Authorization: Bearer abcdefgh=1|hunter2",
        "--token|-x=1|y",
        "é 'é -pé é' --password 'é'",
        "--password|--token|hunter2",
    ] {
        hold_text(line).expect("a text is masked once");
        let command = line.split('|').map(str::to_owned).collect();
        hold_words(command).expect("words are masked once");
    }
}
