//! Many clients, and many who come and go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch::Version;
use serde_json::Value;

use crate::common::{Server, Socket};

const CLIENTS: usize = 200;
const CHANGES: usize = 1000;

/// The place of a message in the order.
fn number(message: &Value) -> u64 {
    message["cursor"].as_str().unwrap().split_once('-').unwrap().1.parse().unwrap()
}

/// Reads until every file is known as it is at the end.
async fn follow(mut socket: Socket, expected: Arc<BTreeMap<String, u64>>) -> usize {
    let (mut known, mut told) = (BTreeMap::new(), 0);
    let mut at = number(&socket.of("hello").await);
    while known != *expected {
        let message = socket.next().await.expect("it is not closed");
        assert_eq!(message["type"], "file-changed", "nobody was slow, and nothing else happens");
        assert_eq!(number(&message), at + 1, "nothing is left out, and nothing comes twice");
        (at, told) = (at + 1, told + 1);
        known.insert(message["path"].as_str().unwrap().to_owned(), message["size"].as_u64().unwrap());
    }
    told
}

/// SERVE-4: 200 clients, 1,000 changes: nobody misses one, and all are told the same in the same order.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_misses_one() {
    let server = Server::new().await;
    let length = |n: usize| n % 50 + 1;
    let expected: BTreeMap<_, _> = (0..CHANGES).map(|n| (format!("{n:04}"), length(n) as u64)).collect();
    let expected = Arc::new(expected);
    let mut readers = Vec::new();
    for _ in 0..CLIENTS {
        readers.push(tokio::spawn(follow(server.socket(None).await, Arc::clone(&expected))));
    }
    let root = server.root().to_owned();
    let writer = tokio::task::spawn_blocking(move || {
        for n in 0..CHANGES {
            fs::write(root.join(format!("{n:04}")), "x".repeat(length(n))).unwrap();
        }
    });
    writer.await.unwrap();
    for reader in readers {
        assert!(reader.await.unwrap() >= CHANGES);
    }
    server.end().await;
}

/// What a page does that has to read all again.
fn read_all(root: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let hash = Version::of(&fs::read(entry.path()).unwrap()).to_string();
            all.insert(entry.file_name().into_string().unwrap(), hash);
        }
    }
    all
}

/// A client that loses its connection again and again, until it knows of all files what they are at the end; how often it was told `reset`.
async fn come_and_go(
    server: Arc<Server>,
    mut socket: Socket,
    seed: u64,
    mut end: tokio::sync::watch::Receiver<Option<BTreeMap<String, String>>>,
) -> usize {
    let root: PathBuf = server.root().to_owned();
    let (mut dice, mut cursor, mut resets) = (seed * 2 + 1, None, 0);
    let mut known = BTreeMap::new();
    loop {
        for _ in 0..=dice % 30 {
            if end.borrow_and_update().as_ref() == Some(&known) {
                return resets;
            }
            let message = tokio::select! {
                message = socket.next() => message.unwrap(),
                _ = end.changed() => continue,
            };
            match message["type"].as_str().unwrap() {
                "file-changed" => {
                    let (path, hash) =
                        (message["path"].as_str().unwrap(), message["hash"].as_str().unwrap_or_default());
                    known.insert(path.to_owned(), hash.to_owned());
                }
                "reset" => {
                    resets += 1;
                    known = read_all(&root);
                }
                _ => {}
            }
            if let Some(at) = message["cursor"].as_str() {
                cursor = Some(at.to_owned());
            }
        }
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        // One in eight has lost its cursor, too, and knows that.
        if dice % 8 == 0 {
            cursor = Some("0000000000000000-1".to_owned());
        }
        socket = server.socket(cursor.as_deref()).await;
    }
}

/// SERVE-4: clients that lose their connections again and again, and come back with the last cursor they have read, end with what is on the
/// disk: there is no gap, or they are told `reset` and read all again.
#[tokio::test(flavor = "multi_thread")]
async fn cursors_at_random() {
    let server = Arc::new(Server::new().await);
    let end = tokio::sync::watch::Sender::new(None);
    let mut clients = Vec::new();
    for seed in 1..=20 {
        let socket = server.socket(None).await;
        clients.push(tokio::spawn(come_and_go(Arc::clone(&server), socket, seed, end.subscribe())));
    }
    let root = server.root().to_owned();
    let writer = tokio::task::spawn_blocking(move || {
        (0..600).for_each(|n| fs::write(root.join(format!("{}", n % 40)), format!("{n}")).unwrap());
        read_all(&root)
    });
    end.send_replace(Some(writer.await.unwrap()));
    let mut resets = 0;
    for client in clients {
        resets += client.await.unwrap();
    }
    assert!(resets > 0, "some had lost their cursors");
    Arc::into_inner(server).unwrap().end().await;
}
