//! HTTPS without a proxy.

use std::sync::Arc;

use filelatch_server::{Tls, serve_tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::client::{Answer, Listening, request};

/// SERVE-7: TLS by a certificate and key in PEM; a cookie is only for it then; who speaks plain HTTP is not answered.
#[tokio::test]
async fn speaks_tls() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).unwrap();
    let server = Listening::with(|options| options.no_auth = false).await;
    // A second listener of the same kind of state.
    let other = Listening::with(|_| {}).await;
    other.state.ending().cancel();
    let mut options = server.state.options().clone();
    options.no_auth = false;
    let latch = filelatch::Filelatch::new();
    let state = filelatch_server::State::new(latch, Arc::new(filelatch_fs::RealHost), options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = tokio::spawn(serve_tls(state.clone(), listener, tls));

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let mut answers = Vec::new();
    while state.address().is_none() {
        tokio::task::yield_now().await;
    }
    let link = state.login_link().unwrap();
    assert!(link.starts_with("https://"), "{link}");
    let login = link.split_once(&address.to_string()).unwrap().1.to_owned();
    for path in ["/healthz".to_owned(), login] {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        stream.write_all(request(&format!("GET {path}"), "", "").as_bytes()).await.unwrap();
        answers.push(Answer::of(&mut stream).await);
    }
    assert_eq!((answers[0].status, answers[0].body.as_str()), (200, "ok"));
    assert!(answers[1].status == 303 && answers[1].head.contains("; secure"), "{answers:?}");
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(request("GET /healthz", "", "").as_bytes()).await.unwrap();
    assert_ne!(Answer::of(&mut plain).await.status, 200);
    state.ending().cancel();
    ended.await.unwrap().unwrap();
}

/// SERVE-7: what is no certificate, no key, or another's key is said so.
#[test]
fn refused() {
    let made = || generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (made(), made());
    let (chain, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    assert!(Tls::from_pem(chain.as_bytes(), key.as_bytes()).is_ok());
    for (chain, key, told) in [
        ("", key.as_str(), "no certificate"),
        (chain.as_str(), "", "the key can't be read"),
        (chain.as_str(), chain.as_str(), "the key can't be read"),
        (chain.as_str(), &other.signing_key.serialize_pem(), "do not serve"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", key.as_str(), "can't be read"),
    ] {
        let problem = Tls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(problem.contains(told), "{problem}");
    }
}
