//! `log`: append, read, state, compact, verify, repair; writers that are killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::thread;

use crate::sandbox::Sandbox;

/// STORE-8: records go in and come out as they were given, with offsets that stay.
#[test]
fn through_all_commands() {
    let s = Sandbox::new();
    let lines = "{\"a\": 1}\n\n{\"op\":\"create\",\"key\":\"k\",\"value\":1}\r\n{\"op\":\"update\",\"key\":\"k\",\"value\":[2]}\n";
    let offsets = s.run_with(lines, ["log", "append", "l"]).exits(0).text();
    let offsets: Vec<_> = offsets.lines().collect();
    assert_eq!(offsets[0], "0");
    assert_eq!(offsets.len(), 3);
    let read =
        "{\"a\": 1}\n{\"op\":\"create\",\"key\":\"k\",\"value\":1}\n{\"op\":\"update\",\"key\":\"k\",\"value\":[2]}\n";
    assert_eq!(s.run(["log", "read", "l"]).exits(0).text(), read);
    let last = s.run(["log", "read", "l", "--json", "--from", offsets[2]]).exits(0).json();
    assert_eq!(last["offset"].to_string(), offsets[2]);
    assert_eq!(
        s.run(["log", "read", "l", "--from", "1"]).exits(0).text().lines().count(),
        2,
        "from within a line: the next"
    );
    assert_eq!(s.run(["log", "read", "l", "--from", "99999"]).exits(0).text(), "");
    assert_eq!(s.run(["log", "state", "l"]).exits(0).text(), "\"k\"\t[2]\n");
    s.run(["log", "verify", "l"]).exits(0).shows("ok: 3 intact records");
    s.run(["log", "compact", "l", "--if-over", "1MB"]).exits(0).says("not due");
    s.run(["log", "compact", "l"]).exits(0).shows("2 records kept");
    assert_eq!(s.run(["log", "read", "l", "--from", offsets[2]]).exits(0).text().lines().count(), 1);
    assert_eq!(s.run(["log", "compact", "l", "--if-older", "1h", "--json"]).exits(0).json()["compacted"], false);
    s.run_with("7\n", ["log", "append", "l"]).exits(0);
    assert_eq!(s.run(["log", "state", "l", "--json"]).exits(0).json()["k"][0], 2);
    let told = s.run(["log", "verify", "l", "--json"]).exits(0).json();
    assert_eq!((&told["ok"], &told["records"]), (&true.into(), &3.into()));
}

/// STORE-8: what is no record ends it; what was before is in, and its offsets were printed.
#[test]
fn bad_lines() {
    let s = Sandbox::new();
    let refused = s.run_with("1\n2\nnot json\n4\n", ["log", "append", "l"]).exits(1).says("line 3 of the input");
    assert_eq!(refused.text().lines().count(), 2);
    assert_eq!(s.run(["log", "read", "l"]).exits(0).text(), "1\n2\n");
    s.run_with(&b"\xff\n"[..], ["log", "append", "l"]).exits(1).says("not UTF-8");
    for command in ["read", "state", "compact", "verify"] {
        s.run(["log", command, "gone"]).exits(5);
    }
    s.run_with("1\n", ["log", "append", "."]).exits(1).says("a directory");
    s.run_with("1\n", ["log", "append", "gone/l"]).exits(1);
    s.run_with("", ["log", "append", "empty"]).exits(0);
}

/// STORE-8: damage is named by line and byte; the way out that the error names works.
#[test]
fn damage_and_the_way_out() {
    let s = Sandbox::new();
    s.run_with("1\n2\n3\n", ["log", "append", "l"]).exits(0);
    let text = s.text("l").replacen("\"rec\":2", "\"rec\":5", 1);
    s.write("l", &text);
    s.run(["log", "read", "l"]).exits(1).says("line 2 (byte").says("log repair l");
    s.run(["log", "state", "l"]).exits(1).says("line 2");
    s.run(["log", "verify", "l"]).exits(1).shows("l, line 2").shows("1 damaged: 2 intact records");
    s.run(["log", "repair", "l"]).exits(0).shows("2 intact records").says("l.damaged-1");
    assert_eq!(s.run(["log", "read", "l"]).exits(0).text(), "1\n3\n");
    s.run(["log", "verify", "l"]).exits(0);
    s.write("l", "");
    s.run_with("4\n", ["log", "append", "l"]).exits(1).says("shorter");
    s.run(["log", "repair", "l"]).exits(0);
    s.run_with("4\n", ["log", "append", "l"]).exits(0);
    assert_eq!(s.run(["log", "read", "l"]).exits(0).text(), "4\n");
}

/// STORE-8: eight writers, killed and started again: each record whose offset was printed is there once, in the order of its writer; what `log read`
/// answers is whole, and `verify` finds no damage.
#[test]
fn writers_that_are_killed() {
    const LIVES: usize = 6;
    const RECORDS: usize = 400;
    let s = Sandbox::new();
    let acknowledged: Vec<_> = thread::scope(|scope| {
        let writer = |writer: usize| {
            let s = &s;
            move || {
                let mut acknowledged = BTreeMap::new();
                for life in 0..LIVES {
                    let mut child = s
                        .command(["log", "append", "l"])
                        .stdin(Stdio::piped())
                        .stdout(Stdio::piped())
                        .stderr(Stdio::null())
                        .spawn()
                        .unwrap();
                    let mut input = child.stdin.take().unwrap();
                    let feeding = thread::spawn(move || {
                        for n in 0..RECORDS {
                            // Long enough that a kill may come within one.
                            let line = format!(
                                "{{\"w\":{writer},\"life\":{life},\"n\":{n},\"pad\":\"{}\"}}\n",
                                "x".repeat(n % 7 * 900)
                            );
                            if input.write_all(line.as_bytes()).is_err() {
                                return;
                            }
                        }
                    });
                    let last = 20 + (writer * 37 + life * 61) % 300;
                    let told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
                    for (n, offset) in told.enumerate() {
                        acknowledged.insert((life, n), offset.parse::<u64>().unwrap());
                        if n == last {
                            child.kill().unwrap();
                        }
                    }
                    child.wait().unwrap();
                    feeding.join().unwrap();
                }
                acknowledged
            }
        };
        let writers: Vec<_> = (0..8).map(|n| scope.spawn(writer(n))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let mut found = BTreeMap::new();
    let mut last = BTreeMap::new();
    for line in s.run(["log", "read", "l", "--json"]).exits(0).text().lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| usize::try_from(value["record"][name].as_u64().unwrap()).unwrap();
        let (writer, place) = (number("w"), (number("life"), number("n")));
        assert_eq!(found.insert((writer, place), value["offset"].as_u64().unwrap()), None, "twice: {line}");
        assert!(last.insert(writer, place).is_none_or(|before| before < place), "out of order: {line}");
    }
    for (writer, acknowledged) in acknowledged.into_iter().enumerate() {
        assert!(acknowledged.len() >= LIVES * 20);
        for (place, offset) in acknowledged {
            assert_eq!(found.get(&(writer, place)), Some(&offset), "writer {writer}: {place:?} was acknowledged");
        }
    }
    s.run(["log", "verify", "l"]).exits(0);
}
