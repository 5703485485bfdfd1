use kmirror_protocol::Secret;
use proptest::prelude::*;

use super::*;

const PROVIDERS: &str = "config.providers = file, dir,env\n\
    config.providers.file.class = org.apache.kafka.common.config.provider.FileConfigProvider\n\
    config.providers.dir.class=DirectoryConfigProvider\n\
    config.providers.env.class = org.apache.kafka.common.config.provider.EnvVarConfigProvider\n";

fn surroundings() -> Surroundings {
    let file = |text: &str| Ok(Secret::new(text));
    Surroundings {
        files: BTreeMap::from([
            (
                "/s.properties".into(),
                file("a = 1\npassword=sword\\u0066ish\npassword: swordfish ${env:PW}\n"),
            ),
            ("/dir/pw".into(), file("from the directory\r\n")),
            ("/dir/two".into(), file("one\n\n")),
            ("/gone".into(), Err("No such file".to_owned())),
        ]),
        variables: BTreeMap::from([("PW".to_owned(), Secret::new("from the environment"))]),
        ..Surroundings::default()
    }
}

fn resolve_with(head: &str, value: &str) -> Result<Option<String>, ProviderError> {
    let entries = properties::parse(head).entries;
    let (mut providers, errors) = Providers::read(&entries);
    if let Some((_, error)) = errors.into_iter().next() {
        return Err(error);
    }
    let resolved = providers.resolve(value, &surroundings())?;
    Ok(resolved.map(|resolved| resolved.value.to_string()))
}

fn resolved(value: &str) -> Option<String> {
    resolve_with(PROVIDERS, value).unwrap()
}

#[test]
fn what_providers_supply() {
    // Once: what stands for a variable is not looked at again.
    assert_eq!(resolved("${file:/s.properties:password}").unwrap(), "swordfish ${env:PW}");
    assert_eq!(resolved("x ${dir:/dir:pw} y").unwrap(), "x from the directory y");
    assert_eq!(resolved("${dir:/dir:two}").unwrap(), "one\n");
    assert_eq!(
        resolved("u=\"${env:PW}\" p=\"${env::PW}\"").unwrap(),
        "u=\"from the environment\" p=\"from the environment\""
    );
    for untouched in ["", "plain", "${other:x}", "${}", "${env", "$${x}", "{env:PW}"] {
        assert_eq!(resolved(untouched), None, "{untouched}");
    }
    assert_eq!(resolve_with("", "${env:PW}").unwrap(), None);
    assert_eq!(resolved("${other:x}${env:PW}").unwrap(), "${other:x}from the environment");
}

#[test]
fn what_they_cannot() {
    let cases = [
        ("${file:/s.properties:nothing}", "/s.properties has no key nothing"),
        ("${file:/gone:a}", "cannot be had: /gone: No such file"),
        ("${file:a}", "write `${NAME:/file:key}`"),
        ("${dir:pw}", "write `${NAME:/directory:file}`"),
        ("${dir:/dir:../pw}", "write `${NAME:/directory:file}`"),
        ("${env:NOTHING}", "the environment has no variable NOTHING"),
        ("${env:/x:PW}", "write `${NAME:VARIABLE}`"),
    ];
    for (value, said) in cases {
        let error = resolve_with(PROVIDERS, value).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(value), "{value}: {error}");
    }
    let cases = [
        ("config.providers = x", "`x` has no class"),
        (
            "config.providers = x\nconfig.providers.x.class = com.example.Vault",
            "Java class `com.example.Vault`",
        ),
        (
            "config.providers = x\nconfig.providers.x.class = EnvVarConfigProvider\n\
             config.providers.x.param.allowlist.pattern = (",
            "never closed",
        ),
        (
            "config.providers = x\nconfig.providers.x.class = FileConfigProvider\n\
             config.providers.x.param.allowed.paths = relative",
            "begin with `/`",
        ),
    ];
    for (head, said) in cases {
        let error = resolve_with(head, "").unwrap_err().to_string();
        assert!(error.contains(said), "{head}: {error}");
    }
}

#[test]
fn what_is_allowed() {
    let head = format!(
        "{PROVIDERS}config.providers.dir.param.allowed.paths=/else,/dir\n\
         config.providers.env.param.allowlist.pattern=^P.*\n"
    );
    assert!(resolve_with(&head, "${dir:/dir/./sub/..:pw} ${env:PW}").is_ok());
    for (value, key) in [
        ("${dir:/dir/../etc:pw}", "config.providers.dir.param.allowed.paths"),
        ("${dir:/dirt:pw}", "config.providers.dir.param.allowed.paths"),
        ("${env:HOME}", "config.providers.env.param.allowlist.pattern"),
    ] {
        let error = resolve_with(&head, value).unwrap_err().to_string();
        assert!(error.contains("outside") && error.contains(key), "{value}: {error}");
    }
    // What is not allowed is not even asked for.
    let text =
        format!("{head}a = ${{dir:/etc:x}} ${{dir:/dir:pw}} ${{env:HOME}} ${{env:PW}} ${{file:/s:k}}\n");
    let wanted = wanted(&text);
    assert_eq!(wanted.files, BTreeSet::from(["/dir/pw".into(), "/s".into()]));
    assert_eq!(wanted.variables, BTreeSet::from(["PW".to_owned()]));
}

#[test]
fn an_allowed_name_matches_as_a_whole() {
    let allowed = |pattern: &str| {
        let head = format!("{PROVIDERS}config.providers.env.param.allowlist.pattern={pattern}\n");
        resolve_with(&head, "${env:PW}").is_ok()
    };
    assert!(allowed("PW") && allowed("X|PW") && allowed("P."));
    for pattern in ["", "P", "W", "^P", "W|P", "PW."] {
        assert!(!allowed(pattern), "{pattern}");
    }
}

proptest! {
    #[test]
    fn any_value_has_a_result(value in "([${}:/.a-c]|env|file|dir|PW){0,30}") {
        let _ = resolve_with(PROVIDERS, &value);
        let _ = wanted(&format!("{PROVIDERS}a = {value}"));
    }
}
