//! TLS for clients, and what their certificates say.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::support::{Gateway, Mock, poll};
use crate::{KEY, config};

/// Who vouches for others.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Authority of the test");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key, in PEM.
    fn sign(&self, sans: &[SanType], subject: &[(DnType, &str)]) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = sans.to_vec();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A gateway behind TLS, and who vouches for it and its clients.
struct Secure {
    gateway: Gateway,
    authority: Authority,
    folder: PathBuf,
}

const LOCAL: SanType = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));

impl Secure {
    fn start(mock: &Mock, name: &str, tls: &str, more: &str) -> Self {
        let (authority, at) = (Authority::new(), std::env::temp_dir());
        let folder = at.join(format!("model-gateway-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        put(&folder, &authority.sign(&[LOCAL], &[]));
        std::fs::write(folder.join("clients.pem"), &authority.pem).unwrap();
        let at = folder.display();
        let tls = format!("tls: {{ cert: {at}/server.pem, key: {at}/server.key, {tls} }}\n")
            .replace("FOLDER/", &format!("{at}/"));
        let own = authority.sign(&[SanType::URI("spiffe://acme.test/ready".try_into().unwrap())], &[]);
        let agent = agent(&authority, Some(&own));
        let ready = |address: &str| agent.get(format!("https://{address}/v1/models")).call().is_ok();
        let gateway = Gateway::start_when(&(tls + &config(mock, "off", more)), &[], ready);
        Self { gateway, authority, folder }
    }

    /// What the gateway takes the holder of this certificate, or key, for: status, name, team.
    fn who(&self, agent: &ureq::Agent, key: Option<&str>) -> Option<(u16, String, String)> {
        let mut request = agent.get(format!("https://{}/v1/usage", self.gateway.address));
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.call().ok()?;
        let body: Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
        let text = |name: &str| body["data"][0][name].as_str().unwrap_or_default().to_owned();
        Some((response.status().as_u16(), text("key"), text("team")))
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Puts a certificate and its key where the gateway has its own, as whoever renews them does.
fn put(folder: &Path, (certificate, key): &(String, String)) {
    for (name, text) in [("server.key", key), ("server.pem", certificate)] {
        std::fs::write(folder.join(".new"), text).unwrap();
        std::fs::rename(folder.join(".new"), folder.join(name)).unwrap();
    }
}

/// A client that trusts `authority`, each request on a connection of its own.
fn agent(authority: &Authority, own: Option<&(String, String)>) -> ureq::Agent {
    let trusted = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let own = own.map(|(certificate, key)| {
        let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
        ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(key.as_bytes()).unwrap())
    });
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[trusted])).client_cert(own).build();
    let config = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).max_idle_connections(0);
    ureq::Agent::new_with_config(config.build())
}

const MTLS: &str = r#"
auth:
  mtls:
    - uri: "spiffe://acme.test/ns/{team}/sa/{name}"
    - { uri: "spiffe://acme.test/{name}", role: few }
    - { dns: "{name}.clients.acme.test" }
    - { subject: "O=Acme,OU={team},CN={name}" }
roles: { few: { models: [] } }
keys:
  - { name: known, team: configured }
"#;

#[test]
fn a_certificate_says_who_calls() {
    let mock = Mock::start();
    let secure = Secure::start(&mock, "mtls", "client_ca: FOLDER/clients.pem", MTLS);
    let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let subject = [
        (DnType::CountryName, "DE"),
        (DnType::OrganizationName, "Acme"),
        (DnType::OrganizationalUnitName, "a, b"),
        (DnType::CommonName, "x y"),
    ];
    let acme = [(DnType::OrganizationName, "Evil"), (DnType::OrganizationalUnitName, "a"), (DnType::CommonName, "x")];
    for (sans, subject, expected) in [
        (vec![uri("spiffe://acme.test/ns/search/sa/web")], &[][..], Some(("web", "search"))),
        (vec![uri("spiffe://acme.test/ns/search/sa/known")], &[], Some(("known", "configured"))),
        (vec![dns("robot.clients.acme.test")], &[], Some(("robot", ""))),
        (Vec::new(), &subject, Some(("x y", "a, b"))),
        (Vec::new(), &acme, None),
        (vec![uri("spiffe://evil.test/ns/search/sa/web")], &[], None),
    ] {
        let agent = agent(&secure.authority, Some(&secure.authority.sign(&sans, subject)));
        let (status, name, team) = secure.who(&agent, None).unwrap();
        assert_eq!(
            (status, (status == 200).then_some((name.as_str(), team.as_str()))),
            (if expected.is_some() { 200 } else { 401 }, expected),
            "{sans:?}"
        );
        // SDKs send some key in any case; a good one says more than a certificate, one that was a token is refused.
        let told = |key| secure.who(&agent, Some(key)).unwrap();
        assert_eq!((told("any").0, told("any").1), (status, name));
        assert_eq!(told(KEY).1, "test");
    }
    // What a certificate's role does not allow.
    let few = agent(&secure.authority, Some(&secure.authority.sign(&[uri("spiffe://acme.test/few")], &[])));
    let body = json!({"model": "openai", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let url = format!("https://{}/v1/chat/completions", secure.gateway.address);
    let status = few.post(&url).header("content-type", "application/json").send(&body).unwrap().status();
    assert_eq!(status, 403);
    // Without one a key is needed, and does.
    let none = agent(&secure.authority, None);
    assert_eq!((secure.who(&none, None).unwrap().0, secure.who(&none, Some(KEY)).unwrap().0), (401, 200));
    // Nobody vouches for it: not even a connection.
    let evil = Authority::new().sign(&[uri("spiffe://acme.test/ns/search/sa/web")], &[]);
    assert_eq!(secure.who(&agent(&secure.authority, Some(&evil)), Some(KEY)), None);
    // Every endpoint asks who calls.
    let stranger = agent(&secure.authority, Some(&secure.authority.sign(&[dns("evil.test")], &[])));
    for endpoint in model_gateway::exchange::ENDPOINTS {
        let url = format!("https://{}{}", secure.gateway.address, endpoint.path);
        for agent in [&stranger, &none] {
            let posted =
                agent.post(&url).header("content-type", "application/json").send("{}").unwrap().status().as_u16();
            let got = agent.get(&url).call().unwrap().status().as_u16();
            assert!([401, 405].contains(&posted) && [401, 405].contains(&got), "{url}: {posted} {got}");
        }
    }
    assert_eq!(mock.rows().len(), 0);
    secure.gateway.assert_sound();
}

#[test]
fn certificates_can_be_required_and_the_gateways_own_is_renewed() {
    let mock = Mock::start();
    let secure = Secure::start(&mock, "tls", "client_ca: FOLDER/clients.pem, require: true", MTLS);
    let own = secure.authority.sign(&[SanType::DnsName("robot.clients.acme.test".try_into().unwrap())], &[]);
    assert_eq!(secure.who(&agent(&secure.authority, None), Some(KEY)), None);
    assert_eq!(secure.who(&agent(&secure.authority, Some(&own)), None).unwrap().1, "robot");
    // A certificate that another authority has signed tells itself by who trusts it.
    let other = Authority::new();
    put(&secure.folder, &other.sign(&[LOCAL], &[]));
    let agent = agent(&other, Some(&own));
    poll("the new certificate", || secure.who(&agent, None).filter(|who| who.1 == "robot"));
    secure.gateway.assert_sound();
}
