//! The native command as its user meets it: the real executable, and with `run` the real Envoy and module.

#[path = "command/running.rs"]
mod running;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use running::{Folder, Running, command, envoy, module};

#[test]
fn check_tells_every_mistake_with_its_line() {
    let folder = Folder::new("check");
    folder.write(
        "gateway.yaml",
        r#"listen: "8080"
workers: "4"
timeout: { idle: 5 }
body_limit: 32MB
providers:
  openai: { kind: openia, api_key: sk-secret-value }
  anthropic:
    api_key: "${ANTHROPIC_API_KEY}"
    base_ulr: https://x
  llama:
    kind: openai
    base_urls: http://10.0.0.7:8000
  llama:
    kind: openai
models:
  gpt-4.1:
    targets:
      - { provider: openia }
      - openai
      - provider: openai
        weight: -1
    fallback: [claude, gpt-5]
  claude:
    target: [{ provider: anthropic, model: 4 }]
  nothing: {}
"#,
    );
    let output = command(folder.path()).args(["check", "gateway.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = "\
gateway.yaml:1: listen: expected ADDRESS:PORT, for example `0.0.0.0:8080`
gateway.yaml:2: workers: expected a whole number, found text; write it without quotes if it is one
gateway.yaml:3: timeout: unknown key `timeout`; did you mean `timeouts`?
gateway.yaml:3: timeouts.idle: expected a duration such as `500ms`, `3s` or `5m`, found a number
gateway.yaml:4: body_limit: expected a size such as `512KiB` or `32MiB`
gateway.yaml:6: providers.openai.api_key: expected `${NAME}` of an environment variable, or `{ file: PATH }`; a key itself must not stand here
gateway.yaml:6: providers.openai.kind: unknown kind `openia`; did you mean `openai`?
gateway.yaml:7: providers.anthropic.kind: missing. What it speaks; one of the kinds listed in README.
gateway.yaml:9: providers.anthropic.base_ulr: unknown key `base_ulr`; did you mean `base_url`?
gateway.yaml:12: providers.llama.base_urls: expected a list, found text; begin each item with `- `
gateway.yaml:13: providers.llama: a second time; it is already on line 10
gateway.yaml:18: models.gpt-4.1.targets[0].provider: unknown provider `openia`; did you mean `openai`?
gateway.yaml:19: models.gpt-4.1.targets[1]: expected a mapping, found text
gateway.yaml:21: models.gpt-4.1.targets[2].weight: expected at least 0
gateway.yaml:22: models.gpt-4.1.fallback: unknown key `fallback`; did you mean `fallbacks`?
gateway.yaml:22: models.gpt-4.1.fallbacks[1]: unknown model `gpt-5`; there are: claude, gpt-4.1, nothing
gateway.yaml:24: models.claude.target: unknown key `target`; did you mean `targets`?
gateway.yaml:24: models.claude.targets[0].model: expected text, found a number; put it in quotes
gateway.yaml:25: models.nothing.targets: missing. Who answers it
";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}

#[test]
fn explain_says_where_a_request_would_go_and_why() {
    let folder = Folder::new("explain");
    folder.write(
        "gateway.yaml",
        r#"providers:
  openai: { kind: openai }
  groq: { kind: groq }
  anthropic: { kind: anthropic }
models:
  fast:
    targets: [{ provider: groq, model: llama }, { provider: openai, model: gpt-4o-mini, order: 1 }]
    aliases: [quick]
    strategy: least_busy
    fallbacks: [claude]
    context_window_fallbacks: [claude]
    retries: { timeout: 1 }
    attempts: 2
    timeouts: { first_token: 3s }
    mirror: { provider: anthropic, model: claude-haiku, share: 0 }
  claude: { targets: [{ provider: anthropic, model: claude-sonnet-4-5 }] }
rules:
  - { name: canary, when: { header: { x-team: red } }, share: 1, sticky_by: "header:x-team", use: claude }
  - { when: { parameter: { temperature: { gt: 1 } } }, use: claude }
  - { name: moderate, when: { path: "/v1/moderations" }, use: claude }
"#,
    );
    folder.write("chat.json", r#"{"model":"quick","stream":true,"messages":[{"role":"user","content":"x"}]}"#);
    folder.write("moderate.json", r#"{"model":"fast","input":"x"}"#);
    folder.write("wrong.json", r#"{"model":"nobody","messages":[{"role":"user","content":"x"}]}"#);
    folder.write("state.yaml", "groq/llama: { cooled: 20s }\nopenai/gpt-4o-mini: { in_flight: 3 }\n");
    folder.write("other.yaml", "groq/lama: { due: true }\n");
    let explain = |arguments: &[&str]| {
        let output = command(folder.path()).args(["explain", "gateway.yaml", "--request"]).args(arguments).output();
        let output = output.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let expected = "\
The request asks for quick, streamed, another name of fast.
Rule canary: 61.2345 of 100 was drawn, and its share is 1.
Rule rules[1]: its conditions do not hold.
Rule moderate: its conditions do not hold.
It goes to model fast, by the strategy least_busy:
  1. openai/gpt-4o-mini (of fast): weight 1, order 1, 3 in flight, well
  2. anthropic/claude-sonnet-4-5 (of claude): weight 1, well
  3. groq/llama (of fast): weight 1, 0 in flight, left alone for another 20s, no attempt left for it
If the prompt does not fit:
  1. anthropic/claude-sonnet-4-5 (of claude): weight 1, well
At most 2 attempts of 3s each, 15m in all.
After timeout at most 1 more.
Of a hundred requests 0 are copied to anthropic/claude-haiku: not this one.
";
    let state = ["chat.json", "--header", "X-Team: red", "--state", "state.yaml"];
    let (code, text) = explain(&state);
    let drawn = text.split_once("canary: ").and_then(|(_, rest)| rest.split_once(" of 100")).unwrap().0;
    assert_eq!((code, text.as_str()), (Some(0), expected.replace("61.2345", drawn).as_str()));
    // Chance follows from the seed, and what sticks does not depend on it.
    assert_eq!(explain(&[&state[..], &["--seed", "9"]].concat()).1, text);
    let (_, json) = explain(&[&state[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["line"][0]["in_flight"], &json["line"][2]["cooled_ms"]), (&3.into(), &20_000.into()));
    let (code, text) = explain(&["moderate.json", "--path", "/v1/moderations"]);
    assert_eq!(code, Some(0));
    for line in [
        "Rule moderate: is followed.\n",
        "No target can be asked: the request is refused.\n",
        "Left out: anthropic/claude-sonnet-4-5 (of claude): it does not offer the operation.\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    for (arguments, told) in [
        (&["wrong.json"][..], "the request is refused with 404: The model 'nobody' does not exist"),
        (&["none.json"], "none.json: cannot be read"),
        (&["chat.json", "--path", "/v1/x"], "Nothing at /v1/x goes to a model"),
        (&["chat.json", "--state", "other.yaml"], "other.yaml: unknown target `groq/lama`; did you mean `groq/llama`?"),
        (&["chat.json", "--key", "k"], "unknown key `k`"),
        (&["chat.json", "--header", "x"], "expected `NAME: VALUE`"),
    ] {
        let (code, text) = explain(arguments);
        assert!(code != Some(0) && text.contains(told), "{told}: {text}");
    }
}

#[test]
fn check_is_content_with_the_bundled_file() {
    let output =
        command(Path::new(env!("CARGO_MANIFEST_DIR"))).args(["check", "envoy/model-gateway.yaml"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"envoy/model-gateway.yaml: no mistakes; 6 providers, 7 models\n");
}

#[test]
fn check_is_content_with_every_example_and_with_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Folder::new("examples");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let mut blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let whole = blocks.next().unwrap();
    folder.write("readme.yaml", whole);
    let mut files = vec![folder.path().join("readme.yaml")];
    for (number, part) in blocks.enumerate() {
        let name = format!("readme-{number}.yaml");
        folder.write(&name, &format!("{whole}{part}"));
        files.push(folder.path().join(name));
    }
    assert!(files.len() >= 4, "README has fewer examples than it had");
    for example in fs::read_dir(root.join("examples")).unwrap() {
        let example = example.unwrap().path();
        assert!(example.join("README.md").exists(), "{} has no README.md", example.display());
        files.extend(Some(example.join("gateway.yaml")).filter(|file| file.exists()));
    }
    for file in files {
        let output = command(root).arg("check").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn schema_is_printed_as_json() {
    let output = command(Path::new(".")).arg("schema").output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "Model Gateway");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

/// `UPDATE=1 cargo test` writes it anew.
#[test]
fn the_bundled_configuration_is_what_render_makes() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let module = "target/wasm32-wasip1/release/model_gateway.wasm";
    let output = command(project).args(["--module", module, "render", "envoy/model-gateway.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout).unwrap();
    let bundled = project.join("envoy/envoy.yaml");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&bundled, &rendered).unwrap();
    }
    assert!(rendered == fs::read_to_string(bundled).unwrap(), "envoy/envoy.yaml is not in step: UPDATE=1 cargo test");
}

const EVERY_KIND_OF_CLUSTER: &str = r#"
listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: /dev/null
timeouts: { connect: 2s, idle: 1500ms, whole: 1h }
tls: { cert: PEMS/server.pem, key: PEMS/server.pem, client_ca: PEMS/authority.pem, require: true }
auth:
  jwt:
    - { issuer: "https://a.example", audiences: [a], jwks: "https://a.example/keys" }
    - { issuer: "https://b.example", audiences: [b], jwks: "http://127.0.0.1:8001/keys" }
  mtls: [{ dns: "{name}.a.example" }]
limits: [{ requests: 10, per: day, time_zone: America/New_York, wait: 2s }]
providers:
  openai: { kind: openai, api_key: "${TEST_KEY_ONE}" }
  anthropic: { kind: anthropic, api_key: "${TEST_KEY_TWO}" }
  plain: { kind: openai, base_url: "http://localhost:8000/v1", timeouts: { connect: 250ms } }
  several: { kind: openai, base_urls: ["https://a.example/v1", "https://a.example:8443/v1"] }
  address: { kind: openai, base_url: "https://[2001:db8::1]/v1" }
  signed: { kind: bedrock, region: eu-west-1 }
  keyed: { kind: bedrock, region: eu-west-2, api_key: "${TEST_KEY_TWO}" }
  pooled: { kind: bedrock, region: eu-west-3, api_keys: ["${TEST_KEY_ONE}", { key: "${TEST_KEY_TWO}", name: eu }] }
  filed: { kind: anthropic, api_key: { file: "FOLDER/key" } }
  tokens: { kind: vertex, project: p, region: global, api_key: gcp }
  more-tokens: { kind: vertex, project: p, region: eu, api_key: gcp }
models:
  "llama 3: \"quoted\"\n": { targets: [{ provider: plain }, { provider: several }, { provider: address }] }
  gpt-4o: { targets: [{ provider: openai }], fallbacks: [claude] }
  claude: { targets: [{ provider: anthropic, model: claude-sonnet-4-5 }], fallbacks: [nova] }
  copied: { targets: [{ provider: plain }], mirror: { provider: several, share: 0.5 } }
  nova: { targets: [{ provider: signed, model: "amazon.nova-lite-v1:0" }, { provider: keyed, model: "amazon.nova-lite-v1:0" }] }
"#;

#[test]
fn envoy_accepts_what_is_rendered_and_no_secret_is_in_it() {
    let (Some(envoy), Some(module)) = (envoy(), module()) else { return };
    let folder = Folder::new("render");
    folder.write(
        "gateway.yaml",
        &EVERY_KIND_OF_CLUSTER
            .replace("FOLDER", folder.path().to_str().unwrap())
            .replace("PEMS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/tls")),
    );
    folder.write("key", "sk-secret-three");
    let render = |further: &[&str]| {
        let mut render = command(folder.path());
        render.env("TEST_KEY_ONE", "sk-secret-one").env("TEST_KEY_TWO", "sk-secret-two");
        let output =
            render.arg("--module").arg(&module).args(["render", "gateway.yaml"]).args(further).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    fs::write(folder.path().join("static.yaml"), render(&[])).unwrap();
    assert!(render(&["--out", "dynamic"]).is_empty());
    let files = ["static.yaml", "dynamic/envoy.yaml", "dynamic/listeners/lds.yaml", "dynamic/clusters/cds.yaml"];
    for file in files {
        let text = fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(!text.contains("sk-secret"), "{file}");
        // What has no key is signed, after the module and for its region.
        let signed: Vec<_> = text.match_indices("v3.AwsRequestSigning").map(|(at, _)| &text[at..]).collect();
        assert_eq!(signed.len(), usize::from(file != files[1] && file != files[2]), "{file}");
        assert!(signed.iter().all(|rest| rest.contains("region: eu-west-1")), "{file}");
        // A provider's own, and everyone's.
        let connect = |time: &str| text.matches(&format!("connect_timeout: {time}")).count();
        assert_eq!((connect("0.250s"), connect("2.000s")), if signed.is_empty() { (0, 0) } else { (1, 10) }, "{file}");
    }
    // What is in the followed files is in the static one too.
    for file in &files[..2] {
        let output = std::process::Command::new(&envoy)
            .args(["--mode", "validate", "--log-level", "error", "-c", file])
            .env("TEST_KEY_ONE", "x")
            .env("TEST_KEY_TWO", "x")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn run_does_not_begin_with_what_it_cannot_serve() {
    let (Some(envoy), Some(module)) = (envoy(), module()) else { return };
    let folder = Folder::new("refused");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let serving = "providers: { a: { kind: openai } }\nadmin: 127.0.0.1:0\n";
    for (text, arguments, told) in [
        ("providers: { a: { kind: opnai } }\n".to_owned(), &[][..], "gateway.yaml:1: providers.a.kind: unknown kind"),
        (
            "\nproviders: { a: { kind: openai, api_key: \"${NOT_SET_ANYWHERE}\" } }\n".to_owned(),
            &[],
            "gateway.yaml:2: providers.a.api_key: the environment variable NOT_SET_ANYWHERE is not set",
        ),
        (format!("{serving}listen: {address}\n"), &[], "Address already in use"),
        (serving.to_owned(), &["--module", "nowhere.wasm"], "`make build`"),
        (serving.to_owned(), &["--envoy", "nowhere/envoy"], "`make setup`"),
        (serving.to_owned(), &["--envoy", "/bin/false"], "Envoy ended before it served"),
    ] {
        folder.write("gateway.yaml", &text);
        let mut run = command(folder.path());
        run.args(arguments);
        if !arguments.contains(&"--module") {
            run.arg("--module").arg(&module);
        }
        if !arguments.contains(&"--envoy") {
            run.arg("--envoy").arg(&envoy);
        }
        let output = run.args(["run", "gateway.yaml"]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(told), "expected {told}:\n{error}");
    }
}

#[test]
fn run_serves_without_a_file() {
    let Some(gateway) = Running::bundled() else { return };
    let models = [
        "gpt-4o",
        "gpt-4o-mini",
        "claude-sonnet-4-5",
        "gemini-2.5-flash",
        "nova-lite",
        "command-a-03-2025",
        "llama3.2",
    ];
    for model in models {
        assert_eq!(gateway.chat(model), 200, "{model}\n{}", gateway.said());
    }
    assert_eq!(gateway.chat("gpt-9"), 404);
    assert!(gateway.said().contains("anthropic: simulated"));
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn run_follows_its_file_and_loses_no_request() {
    let Some(mock) = Running::mock() else { return };
    let folder = Folder::new("follow");
    let one = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\nlog: off\nproviders:\n  a: {{ kind: openai, api_key: \"${{MOCK_API_KEY}}\", base_url: \"{}/a/v1\" }}\nmodels:\n  m: {{ targets: [{{ provider: a }}] }}\n",
        mock.url()
    );
    let another = format!(
        "{one}  n: {{ targets: [{{ provider: b }}] }}\n",
        one = one.replace(
            "models:",
            &format!(
                "  b: {{ kind: anthropic, api_key: \"${{MOCK_API_KEY}}\", base_url: \"{}\" }}\nmodels:",
                mock.url()
            )
        )
    );
    folder.write("gateway.yaml", &one);
    let Some(gateway) = Running::gateway(&folder, "gateway.yaml") else { return };
    assert_eq!((gateway.chat("m"), gateway.chat("n")), (200, 404));

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = || {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(gateway.chat("m"), 200, "{}", gateway.said());
                asked += 1;
            }
            asked
        };
        let threads = [scope.spawn(asking), scope.spawn(asking)];
        // A failed assertion below must not leave the threads asking for ever.
        let changes = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            folder.replace("gateway.yaml", &another);
            gateway.wait("reloaded; 2 providers, 2 models", 1);
            gateway.poll("the new model", || gateway.chat("n") == 200);

            folder.replace("gateway.yaml", &another.replace("kind: anthropic", "kind: antropic"));
            gateway.wait("gateway.yaml:7: providers.b.kind: unknown kind `antropic`; did you mean `anthropic`?", 1);
            gateway.wait("refused; the configuration before it keeps serving", 1);
            assert_eq!(gateway.chat("n"), 200);

            folder.replace(
                "gateway.yaml",
                &another.replace("${MOCK_API_KEY}\", base_url: \"", "${NOT_SET_HERE}\", base_url: \""),
            );
            gateway.wait("the environment variable NOT_SET_HERE is not set", 2);
            assert_eq!(gateway.chat("n"), 200);

            folder.replace("gateway.yaml", &another.replace("workers: 2", "workers: 1").replace("/a/v1", "/other/v1"));
            gateway.wait("reloaded; 2 providers, 2 models; `workers` will change with a restart only", 1);

            // Written in place, as an editor may do, in place of moved.
            folder.write("gateway.yaml", &one);
            gateway.wait("reloaded; 1 provider, 1 model", 1);
            gateway.poll("the model to be gone", || gateway.chat("n") == 404);
        }));
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            assert!(thread.join().unwrap() > 0);
        }
        if let Err(panic) = changes {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(gateway.stop(), Some(0));
}

#[test]
fn what_envoy_refuses_leaves_the_gateway_as_it_was() {
    let folder = Folder::new("busy");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rest = "admin: 127.0.0.1:0\nlog: off\nproviders: { a: { kind: openai, base_url: \"http://127.0.0.1:1\" } }\n";
    folder.write("gateway.yaml", &format!("listen: 127.0.0.1:0\n{rest}"));
    let Some(gateway) = Running::gateway(&folder, "gateway.yaml") else { return };
    folder.replace("gateway.yaml", &format!("listen: {}\n{rest}", taken.local_addr().unwrap()));
    gateway.wait("refused by Envoy; the configuration before it keeps serving: ", 1);
    assert!(gateway.said().contains("Address already in use"));
    assert_eq!(gateway.chat("m"), 404);
    drop(taken);
    // The same file again, now that it can be served.
    folder.replace(
        "gateway.yaml",
        &format!("listen: 127.0.0.1:0\nmodels: {{ m: {{ targets: [{{ provider: a }}] }} }}\n{rest}"),
    );
    gateway.wait("reloaded; 1 provider, 1 model", 1);
    gateway.poll("the new model", || gateway.chat("m") == 503);
}

#[test]
fn envoy_that_ends_ends_the_command() {
    let folder = Folder::new("ended");
    folder.write("gateway.yaml", "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nproviders: { a: { kind: openai, base_url: \"http://127.0.0.1:1\" } }\n");
    let Some(gateway) = Running::gateway(&folder, "gateway.yaml") else { return };
    gateway.quit_envoy();
    gateway.wait("Envoy ended by itself", 1);
    assert_eq!(gateway.ended(), Some(1));
}
