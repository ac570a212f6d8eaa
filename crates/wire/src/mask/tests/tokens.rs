use super::*;

#[test]
fn what_has_the_form_of_a_token_is_masked_wherever_it_stands() {
    let hex = |prefix: &str, length: usize| {
        format!(
            "{prefix}{}",
            "0123456789abcdef".repeat(12).split_at(length).0
        )
    };
    let upper = |prefix: &str, length: usize| {
        format!(
            "{prefix}{}",
            "ABCDEFGHIJKLMN23".repeat(5).split_at(length).0
        )
    };
    let tokens = [
        token("ghp_", 36),
        token("ghs_", 36),
        token("github_pat_", 40),
        token("glpat-", 20),
        format!("{}.01.{}", token("glpat-", 27), token("", 9)),
        token("glsoat-", 20),
        token("xoxb-", 24),
        token("xapp-1-", 24),
        format!("{}{}", "xoxe.", token("xoxp-1-", 40)),
        token("sk_live_", 24),
        token("whsec_", 32),
        token("npm_", 36),
        token("pypi-", 60),
        token("sk-", 48),
        token("sk-proj-", 80),
        token("sk-ant-api03-", 80),
        format!("hw_{}_{}", "0123456789abcdef", "0123456789abcdef".repeat(4)),
        upper("AKIA", 16),
        token("ABSK", 110),
        token("AIza", 35),
        token("GOCSPX-", 28),
        format!(
            "{}.{}.{}",
            token("eyJ", 20),
            token("eyJ", 20),
            token("", 20)
        ),
        format!("{}.{}", token("eyJ", 20), token("", 20)),
        token("glsa_", 41),
        token("glc_", 60),
        token("sq0atp-", 22),
        token("sq0csp-", 43),
        token("dckr_pat_", 27),
        upper("AGE-SECRET-KEY-1", 58),
        hex("shpat_", 32),
        hex("shpss_", 32),
        token("hvs.", 92),
        token("hvb.", 140),
        token("ATATT3", 180),
        token("ATBB", 32),
        token("lin_api_", 40),
        hex("rubygems_", 48),
        hex("pul-", 40),
        upper("NRAK-", 27),
        token("sntrys_", 120),
        hex("sntryu_", 64),
        format!("{}.{}", token("SG.", 22), token("", 43)),
        hex("key-", 32),
        hex("xkeysib-", 64),
        hex("dapi", 32),
        hex("dop_v1_", 64),
        token("dp.pt.", 43),
        token("dt0c01.", 90),
        token("figd_", 40),
        token("ntn_", 46),
        hex("PMAK-", 59),
        token("pplx-", 48),
        token("gsk_", 52),
        token("tskey-auth-", 40),
        token("sha256~", 43),
        token("HRKU-", 58),
        token("Q~", 34),
    ];
    for token in &tokens {
        let line = masked(&format!("curl -H x:{token} https://a.example/{token}?q=1"));
        assert_eq!(line, "curl -H x:*** https://a.example/***?q=1", "{token}");
        let id = masked_id(&format!("test_a.py::test[{token}-1]"));
        assert!(
            matches!(&*id, "test_a.py::test[***-1]" | "test_a.py::test[***]"),
            "{id}"
        );
        assert_eq!(masked(&format!("It is {token}. So")), "It is ***. So");
    }
}

#[test]
fn behind_an_escape_a_token_begins_a_word() {
    let key = token("sk-", 48);
    check(&[
        (&format!("x%20{key}"), "x%20***"),
        (&format!(r"x\n{key}"), r"x\n***"),
        (&format!("a-{key}"), "a-***"),
    ]);
}

#[test]
fn a_private_key_is_masked_to_its_end() {
    let begin = "-----BEGIN RSA PRIVATE KEY-----";
    let end = "-----END RSA PRIVATE KEY-----";
    check(&[
        (&format!("x '{begin} a-b {end}' y"), "x '***' y"),
        (
            &format!("{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nAbC+/=\n{end}\ny"),
            "***\ny",
        ),
        (&format!("x '{begin} a-b' y"), "x '***' y"),
        (&format!("x {begin} a-b"), "x ***"),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK----- x -----END PGP PRIVATE KEY BLOCK-----",
            "***",
        ),
        (
            "-----BEGIN CERTIFICATE----- x -----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE----- x -----END CERTIFICATE-----",
        ),
    ]);
}

#[test]
fn words_that_begin_as_a_token_does_are_none() {
    check_plain(&[
        "pytest tests/task-runner-with-a-long-name/test_x.py",
        "pip install sk-learn-compatible-estimator",
        "twine upload pypi-publish-to-the-test-index-now",
        "npm_config_cache=/tmp/x npm_lifecycle_event=test",
        "pytest tests/test_eyJ.py::test_hf_hub_download_of_a_model",
        "x MSG.some.long.module.name.for.tests.in.python",
        "python -m SG.some.long.module.name.for.tests",
        "monkey-0123456789abcdef0123456789abcdef.txt",
        "git checkout 0123456789abcdef0123456789abcdef01234567",
        "docker pull a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "pytest tests/test_pul-request.py -k shpat_and_more",
        "pytest tests/test_xapp.py -k xapp-test",
    ]);
    for id in [
        "tests/test_glsa_x.py::test_ghp_tokens[sk-learn]",
        "t.py::test[AKIA]",
        "t.py::test_age_secret_key",
    ] {
        assert_eq!(masked_id(id), id);
    }
}
