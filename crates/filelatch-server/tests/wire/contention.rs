//! Many clients, one document, nothing lost.

use std::collections::HashSet;
use std::sync::Arc;

use filelatch::Version;

use super::client::Listening;

const CLIENTS: usize = 64;

fn value(text: &str) -> u64 {
    text.trim().parse().unwrap()
}

/// SERVE-2, VER-2: of 64 that replace the same version at the same time one succeeds, and 63 are told that it is another one by now.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_them() {
    let server = Arc::new(Listening::with(|_| {}).await);
    std::fs::write(server.root().join("n"), "0\n").unwrap();
    let tag = format!("If-Match: \"{}\"\r\n", Version::of(b"0\n"));
    let clients = (0..CLIENTS).map(|n| {
        let (server, tag) = (Arc::clone(&server), tag.clone());
        tokio::spawn(async move { server.send("PUT /files/n", &tag, &format!("{}\n", n + 1)).await.status })
    });
    let mut statuses = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        statuses.push(client.await.unwrap());
    }
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(200), count(412)), (1, CLIENTS - 1), "{statuses:?}");
}

/// SERVE-2, VER-8: 64 clients that each add one, and try again when they are told that somebody was first: all are counted, each success
/// once. And 64 that add one by a patch without a condition of its own version.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_them() {
    let server = Arc::new(Listening::with(|_| {}).await);
    std::fs::write(server.root().join("n"), "0\n").unwrap();
    let clients = (0..CLIENTS).map(|_| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let mut refused = 0;
            loop {
                let read = server.send("GET /files/n", "", "").await;
                let tag = read.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
                let next = format!("{}\n", value(&read.body) + 1);
                let written = server.send("PUT /files/n?durability=none", &format!("If-Match: {tag}\r\n"), &next).await;
                match written.status {
                    200 => return refused,
                    412 => refused += 1,
                    _ => panic!("{written:?}"),
                }
            }
        })
    });
    let mut refused = 0;
    for client in clients.collect::<Vec<_>>() {
        refused += client.await.unwrap();
    }
    let text = std::fs::read_to_string(server.root().join("n")).unwrap();
    assert_eq!(value(&text), CLIENTS as u64, "{refused} were refused on the way");
}

/// SERVE-2, VER-8: patches of different members all survive, also those that are published together. Who is told a version is told that of no
/// other change: with it he would replace what came after his own unseen.
#[tokio::test(flavor = "multi_thread")]
async fn patches() {
    let server = Arc::new(Listening::with(|_| {}).await);
    std::fs::write(server.root().join("n.json"), "{}\n").unwrap();
    let clients = (0..CLIENTS).map(|n| {
        let server = Arc::clone(&server);
        let patch = format!("{{\"m{n}\": {n}}}");
        let media = "Content-Type: application/merge-patch+json\r\n";
        tokio::spawn(async move { server.send("PATCH /files/n.json", media, &patch).await })
    });
    let mut told = HashSet::new();
    for client in clients.collect::<Vec<_>>() {
        let answer = client.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let written: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let tag = answer.head.lines().find_map(|line| line.strip_prefix("etag: ")).map(|tag| tag.trim_matches('"'));
        assert_eq!(written["hash"].as_str(), tag);
        assert!(tag.is_none_or(|tag| told.insert(tag.to_owned())), "two are told of {tag:?}");
    }
    let text = std::fs::read_to_string(server.root().join("n.json")).unwrap();
    let members: serde_json::Map<_, _> = serde_json::from_str(&text).unwrap();
    assert_eq!(members.len(), CLIENTS, "{text}");
    assert!(told.contains(&Version::of(text.as_bytes()).to_string()), "the last one's is what is there");
}
