//! Programs that take a secret by a short flag, and those that start others.

/// How a program takes secrets.
#[derive(Debug)]
pub(super) struct Program {
    names: &'static [&'static str],
    /// Short flags whose value is a secret.
    pub(super) secrets: &'static str,
    /// Short flags whose value is a name and, behind [`Program::parts`], a password.
    pub(super) logins: &'static str,
    /// Short flags whose value is a cookie, or a file of them.
    pub(super) cookies: &'static str,
    /// Long flags of names with passwords.
    pub(super) long_logins: &'static [&'static str],
    /// What begins with the letter of a secret and is a long flag, as many write one with a single dash.
    pub(super) long_flags: &'static [&'static str],
    /// What parts a name from its password.
    pub(super) parts: char,
    /// Short flags that take another value: what follows them in a word are no flags.
    pub(super) valued: &'static str,
    pub(super) values: Values,
    /// Whether flags may stand behind others in one word (`-sSu`).
    pub(super) joins: bool,
    /// Whether a command follows.
    pub(super) starts: bool,
}

/// Where the value of a short flag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// In the same word or in the next.
    Either,
    /// In the same word only: without one the program asks.
    Joined,
    /// In the next word only.
    Next,
}

const fn program(names: &'static [&'static str], secrets: &'static str) -> Program {
    Program {
        names,
        secrets,
        logins: "",
        cookies: "",
        long_logins: &[],
        long_flags: &[],
        parts: ':',
        valued: "",
        values: Values::Either,
        joins: false,
        starts: false,
    }
}

static PROGRAMS: [Program; 14] = [
    Program {
        logins: "uUE",
        cookies: "b",
        long_logins: &["--cert", "--proxy-cert"],
        valued: "AcCdDeFhHKmoPQrtTwxXyYz",
        joins: true,
        ..program(&["curl"], "")
    },
    program(&["http", "https", "httpie", "xh", "xhs"], "a"),
    Program {
        long_flags: &[
            "port",
            "protocol",
            "plugin-dir",
            "plugin",
            "pager",
            "pipe",
            "prompt",
            "print-defaults",
            "profile",
            "password",
        ],
        valued: "DehPSuTrwV",
        values: Values::Joined,
        joins: true,
        ..program(
            &[
                "mysql",
                "mysqldump",
                "mysqladmin",
                "mysqlimport",
                "mysqlshow",
                "mysqlcheck",
                "mysqlslap",
                "mysqlbinlog",
                "mysqlpump",
                "mysql_upgrade",
                "mysqlsh",
                "mycli",
                "mariadb",
                "mariadb-dump",
                "mariadb-admin",
                "mariadb-import",
                "mariadb-show",
                "mariadb-check",
                "mariadb-slap",
                "mariadb-binlog",
                "mariadb-backup",
            ],
            "p",
        )
    },
    Program {
        values: Values::Next,
        ..program(&["redis-cli", "valkey-cli"], "a")
    },
    Program {
        valued: "fdP",
        starts: true,
        ..program(&["sshpass"], "p")
    },
    Program {
        long_flags: &["port", "password"],
        ..program(
            &[
                "mongo",
                "mongosh",
                "mongodump",
                "mongorestore",
                "mongoexport",
                "mongoimport",
                "mongostat",
                "mongotop",
                "mongofiles",
                "cqlsh",
                "twine",
                "rabbitmqadmin",
            ],
            "p",
        )
    },
    Program {
        valued: "DbHhsSalzfURXYoyd",
        joins: true,
        ..program(
            &[
                "ldapsearch",
                "ldapadd",
                "ldapmodify",
                "ldapdelete",
                "ldapmodrdn",
                "ldapcompare",
                "ldapwhoami",
                "ldappasswd",
            ],
            "w",
        )
    },
    program(
        &[
            "sqlcmd",
            "bcp",
            "mssql-cli",
            "ipmitool",
            "mosquitto_pub",
            "mosquitto_sub",
            "mosquitto_rr",
        ],
        "P",
    ),
    Program {
        logins: "U",
        long_logins: &["--user"],
        parts: '%',
        ..program(&["smbclient", "smbget", "rpcclient"], "")
    },
    Program {
        logins: "u",
        parts: ',',
        ..program(&["lftp"], "")
    },
    program(&["ssh-keygen"], "NP"),
    Program {
        values: Values::Next,
        ..program(&["openssl"], "kK")
    },
    Program {
        valued: "bntxiZd",
        joins: true,
        ..program(&["zip", "unzip"], "P")
    },
    Program {
        values: Values::Joined,
        ..program(&["7z", "7za", "7zr", "7zz"], "p")
    },
];

/// `docker login` and its like: what takes a password is a word behind the program.
static LOGIN: Program = Program {
    valued: "u",
    ..program(&["login", "publish"], "p")
};
/// What may stand between such a program and its `login`.
const BEFORE_LOGIN: [&str; 3] = ["registry", "auth", "acr"];

/// Programs that start the one whose name is among the words behind them.
const STARTERS: [&str; 45] = [
    "sudo",
    "doas",
    "su",
    "env",
    "exec",
    "command",
    "builtin",
    "time",
    "timeout",
    "nice",
    "ionice",
    "chrt",
    "taskset",
    "nohup",
    "setsid",
    "stdbuf",
    "script",
    "unbuffer",
    "xargs",
    "parallel",
    "watch",
    "flock",
    "strace",
    "ltrace",
    "unshare",
    "nsenter",
    "chroot",
    "ssh",
    "sh",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "ash",
    "busybox",
    "docker",
    "docker-compose",
    "podman",
    "nerdctl",
    "kubectl",
    "oc",
    "helm",
    "poetry",
    "uv",
    "pipenv",
];
/// Programs that start none of these, but have an own `login` or `publish`.
const HAVE_LOGIN: [&str; 5] = ["buildah", "skopeo", "crane", "az", "cf"];

/// What a word is that stands where a program may.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// It takes secrets.
    Takes(&'static Program),
    /// It starts a command.
    Starts,
    Other,
}

/// The role of a program by its name or its path.
pub(super) fn role(word: &str) -> Role {
    let name = word.rsplit('/').next().unwrap_or(word);
    let known = |program: &&Program| program.names.contains(&name);
    if let Some(program) = PROGRAMS.iter().find(known) {
        return Role::Takes(program);
    }
    match STARTERS.contains(&name) || HAVE_LOGIN.contains(&name) {
        true => Role::Starts,
        false => Role::Other,
    }
}

/// What takes a password behind a program that starts others, by the word and the plain one before it.
pub(super) fn login_of(word: &str, before: Option<&str>) -> Option<&'static Program> {
    let stands_so = before.is_none_or(|before| BEFORE_LOGIN.contains(&before));
    (stands_so && LOGIN.names.contains(&word)).then_some(&LOGIN)
}

/// Whether what follows are arguments of a run of tests, among which a program's name is none.
pub(super) fn runs_tests(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    ["python", "pypy", "pytest", "py.test"]
        .iter()
        .any(|begin| name.starts_with(begin))
}
