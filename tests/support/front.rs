//! A provider's own edge: TLS, HTTP/2 or HTTP/1.1, and a connection that it wants closed after a few requests, in front of
//! the mock. It is an Envoy, too.

use std::net::TcpStream;
use std::path::PathBuf;

use super::{Folder, Process, envoy, free_address, poll};

/// An edge, stopped when dropped.
pub struct Front {
    _process: Process,
    _folder: Folder,
    /// Port of `localhost`, for which it has a certificate.
    pub port: String,
}

/// The certificate of who vouches for it.
pub fn authority() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls/authority.pem")
}

impl Front {
    /// Speaks the protocol `alpn`, `h2` or `http/1.1`, and after so many requests says that a connection is to be closed.
    pub fn start(mock: &str, alpn: &str, requests: u32) -> Self {
        let folder = Folder::new();
        let file = folder.0.join("front.yaml");
        let address = free_address();
        let port = address.rsplit_once(':').unwrap().1.to_owned();
        let mock_port = mock.rsplit_once(':').unwrap().1;
        let certificate = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/tls/server.pem");
        let certificate = certificate.display();
        let config = format!(
            r#"
static_resources:
  listeners:
  - name: front
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: ["{alpn}"]
            tls_certificates: [{{ certificate_chain: {{ filename: "{certificate}" }}, private_key: {{ filename: "{certificate}" }} }}]
      filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          common_http_protocol_options: {{ max_requests_per_connection: {requests} }}
          drain_timeout: 0.1s
          route_config:
            virtual_hosts:
            - {{ name: mock, domains: ["*"], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: mock, timeout: 60s }} }}] }}
          http_filters:
          - {{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}
  clusters:
  - name: mock
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http_protocol_options: {{}} }}
        # The mock closes what it breaks: no connection is used twice.
        common_http_protocol_options: {{ max_requests_per_connection: 1 }}
    circuit_breakers: {{ thresholds: [{{ max_connections: 10000, max_pending_requests: 10000, max_requests: 10000 }}] }}
    load_assignment:
      cluster_name: mock
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {mock_port} }} }} }} }}] }}]
"#
        );
        std::fs::write(&file, config).unwrap();
        let process = Process::spawn(envoy(&file));
        poll("the front to listen", || TcpStream::connect(&address).ok());
        Self { _process: process, _folder: folder, port }
    }
}
