//! What a configuration may say, and how what it may not is refused.

use super::*;

fn load(text: &str, variables: &[(&'static str, &'static str)]) -> Result<Config> {
    load_as(Profile::Notebook, text, variables)
}

fn load_as(
    profile: Profile,
    text: &str,
    variables: &[(&'static str, &'static str)],
) -> Result<Config> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
    let below = folder.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let variables = Variables::of(variables.iter().copied());
    Config::load(&below, &variables, profile)
}

#[test]
fn a_file_above_is_found_and_the_environment_goes_before_it() {
    let config = load(
        "[models]\ndefault = \"a:b\"\n[security]\nroots = [\"data\"]\n",
        &[
            ("AIKIT_MODELS__DEFAULT", "c:d"),
            ("AIKIT_SECURITY__PROFILE", "served"),
        ],
    )
    .unwrap();
    assert_eq!(config.models.default.as_deref(), Some("c:d"));
    assert_eq!(config.security.profile, Some(Profile::Served));
    assert!(config.security.roots[0].is_absolute() && config.security.roots[0].ends_with("data"));
}

/// The file that is found from `working` (below a temporary folder), as a path below it, where
/// every folder of `files` holds an `aikit.toml` and `home` is the home folder.
fn found(files: &[&str], working: &str, home: &str) -> Option<PathBuf> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join(working)).unwrap();
    for file in files {
        std::fs::write(root.join(file), "").unwrap();
    }
    let home = root.join(home).to_string_lossy().into_owned();
    let variables = Variables::of([("HOME", home.clone()), ("USERPROFILE", home)]);
    let config = Config::load(&root.join(working), &variables, Profile::Notebook).unwrap();
    config
        .file
        .map(|it| it.strip_prefix(&root).unwrap().to_owned())
}

#[test]
fn a_file_above_the_project_is_not_read() {
    let files = ["aikit.toml", "project/.git"];
    assert_eq!(found(&files, "project/a/b", "none"), None);
    let files = ["aikit.toml", "project/.git", "project/aikit.toml"];
    let expected = Path::new("project/aikit.toml");
    assert_eq!(
        found(&files, "project/a/b", "none").as_deref(),
        Some(expected)
    );
}

#[test]
fn the_home_folder_counts_and_what_is_above_it_does_not() {
    assert_eq!(found(&["aikit.toml"], "home/a", "home"), None);
    assert_eq!(found(&["aikit.toml"], "home", "home"), None);
    let files = ["aikit.toml", "home/aikit.toml"];
    let expected = Path::new("home/aikit.toml");
    assert_eq!(found(&files, "home/a", "home").as_deref(), Some(expected));
    assert_eq!(found(&files, "home", "home").as_deref(), Some(expected));
}

#[cfg(unix)]
#[test]
fn a_file_that_everybody_can_write_is_ignored() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, "[security]\nhosts = [\"*\"]\n").unwrap();
    let nothing = Variables::none();
    let load = || Config::load(folder.path(), &nothing, Profile::Notebook).unwrap();
    assert_eq!(load().security.hosts, ["*"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!((load().file, load().security.hosts), (None, Vec::new()));
    let reason = || ignored(folder.path(), &nothing)[0].reason;
    assert_eq!(reason(), "every user can write it");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ignored(folder.path(), &nothing), []);
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    assert_eq!(reason(), "it is a link that leads nowhere");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(reason(), "it is no file");
}

#[test]
fn a_file_cannot_widen_what_a_server_allows() {
    let text = "[security]\nroots = [\"/\"]\nhosts = [\"*.example.org\"]\n";
    let served = load_as(Profile::Served, text, &[]).unwrap();
    assert!(served.security.roots.is_empty() && served.security.hosts.is_empty());
    let variables = [("AIKIT_SECURITY__HOSTS", "api.example.org")];
    let served = load_as(Profile::Served, text, &variables).unwrap();
    assert_eq!(served.security.hosts, ["api.example.org"]);
    assert_eq!(load(text, &[]).unwrap().security.hosts, ["*.example.org"]);
}

#[test]
fn a_file_does_not_say_where_the_users_data_go() {
    for text in [
        "[logging]\nfile = \"x.log\"\n",
        "[telemetry]\nendpoint = \"https://elsewhere.example\"\n",
        "[telemetry]\nheaders = { authorization = \"HOME\" }\n",
    ] {
        let error = load(text, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.hint().unwrap().contains("AIKIT_"), "{error}");
    }
    let here = "[telemetry]\nendpoint = \"http://127.0.0.1:4318\"\n";
    let config = load(here, &[]).unwrap();
    assert_eq!(config.telemetry.exporter, Some(Exporter::Otlp));
    let served = load_as(Profile::Served, here, &[]).unwrap();
    assert_eq!(served.telemetry.exporter, None);
    let variables = [
        ("AIKIT_TELEMETRY__ENDPOINT", "https://elsewhere.example"),
        ("AIKIT_TELEMETRY__HEADERS", "{ authorization = \"TOKEN\" }"),
        ("TOKEN", "secret"),
    ];
    let config = load("", &variables).unwrap().telemetry;
    assert_eq!(config.header_values().collect::<Vec<_>>(), ["secret"]);
    assert_eq!(
        config.otlp().traces.unwrap(),
        "https://elsewhere.example/v1/traces"
    );
}

#[test]
fn a_list_in_the_environment_is_toml_or_a_text_with_commas() {
    for text in ["[\"/one\", \"/two\"]", "/one, /two"] {
        let variables = [("AIKIT_SECURITY__ROOTS", text)];
        assert_eq!(load("", &variables).unwrap().security.roots.len(), 2);
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let cases = [
        ("[security]\nroot = []\n", "security.root", "`roots`"),
        ("[modls]\n", "modls", "`models`"),
    ];
    for (text, key, suggestion) in cases {
        let error = load(text, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(key), "{error}");
        assert!(
            error.hint().unwrap().contains(suggestion),
            "{:?}",
            error.hint()
        );
    }
}

#[test]
fn a_misspelt_variable_is_refused_with_the_nearest_known_one() {
    let cases = [
        ("AIKIT_SECURITY__ROOTZ", "`AIKIT_SECURITY__ROOTS`"),
        ("AIKIT_PROFILE", "`AIKIT_SECURITY__PROFILE`"),
        ("AIKIT_MODE", "`AIKIT_MODEL`"),
        ("AIKIT_WHATEVER_THIS_IS", "AIKIT_MODELS__DEFAULT"),
    ];
    for (name, suggestion) in cases {
        let error = load("", &[(name, "x")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(name), "{error}");
        let hint = error.hint().unwrap();
        assert!(hint.contains(suggestion), "{name}: {hint}");
    }
    for name in ["AIKIT_MODEL", "AIKITCHEN_STOVE", "PATH"] {
        assert!(load("", &[(name, "x")]).is_ok(), "{name}");
    }
}

#[test]
fn a_wrong_type_and_a_wrong_file_name_the_file() {
    for text in ["[security]\nroots = 3\n", "[security\n", "security = 1\n"] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.message().contains(FILE_NAME), "{error}");
    }
}
