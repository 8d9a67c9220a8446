//! Conversations in one file that several programs write to: `conversations FILE COMMAND`.
//!
//! - `say ID TEXT` adds a message, and the conversation if need be
//! - `show ID` prints one
//! - `list` prints all, the one with the newest message first
//! - `merge FROM INTO` puts the messages of one behind those of another, and removes it, in one step
//! - `delete ID`
#![expect(clippy::disallowed_methods, reason = "a small program of its own, not part of the library")]

use std::error::Error;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use filelatch::Filelatch;
use filelatch::store::{Record, Repository, RepositoryOptions};
use serde::{Deserialize, Serialize};

/// As it is stored, version 2. Version 1 had messages without an author.
#[derive(Serialize, Deserialize)]
struct Conversation {
    messages: Vec<Message>,
    /// Seconds since 1970.
    updated_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Message {
    author: String,
    text: String,
}

type Conversations = Repository<Conversation>;
type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&words, &mut std::io::stdout())
}

fn run(words: &[&str], out: &mut impl Write) -> Done {
    let [path, command @ ..] = words else { return Err(USAGE.into()) };
    let latch = Filelatch::new();
    let options = RepositoryOptions::collection().schema(2, |_, mut conversation| {
        let messages = conversation["messages"].as_array_mut().ok_or("it has no messages")?;
        for message in messages {
            *message = serde_json::json!({"author": "somebody", "text": message.take()});
        }
        Ok(conversation)
    });
    let conversations = Conversations::open(&latch, path, &options)?;
    match command {
        ["say", id, text] => say(&conversations, id, latch.session(), text),
        ["show", id] => show(&conversations.get(id)?, out),
        ["list"] => list(&conversations, out),
        ["merge", from, into] => merge(&conversations, from, into),
        ["delete", id] => {
            if conversations.delete(id)? {
                Ok(())
            } else {
                Err(format!("there is no conversation `{id}`").into())
            }
        }
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str = "usage: conversations FILE say ID TEXT | show ID | list | merge FROM INTO | delete ID";

/// Whoever else writes to it at the same time: no message is lost.
fn say(conversations: &Conversations, id: &str, author: &str, text: &str) -> Done {
    conversations.modify(|all| {
        let empty = Conversation { messages: Vec::new(), updated_at: 0 };
        let mut conversation = all.try_get(id)?.unwrap_or(empty);
        conversation.messages.push(Message { author: author.to_owned(), text: text.to_owned() });
        conversation.updated_at = now();
        all.save(id, &conversation)?;
        Ok(())
    })
}

fn show(conversation: &Conversation, out: &mut impl Write) -> Done {
    for message in &conversation.messages {
        writeln!(out, "{}: {}", message.author, message.text)?;
    }
    Ok(())
}

fn list(conversations: &Conversations, out: &mut impl Write) -> Done {
    // One that is damaged hides no others.
    let mut found = conversations.survey()?;
    found.intact.sort_by_key(|Record { value, .. }| std::cmp::Reverse(value.updated_at));
    for Record { id, value, .. } in found.intact {
        writeln!(out, "{id}: {} messages", value.messages.len())?;
    }
    for (_, problem) in found.damaged {
        writeln!(out, "{problem}")?;
    }
    Ok(())
}

/// At no moment are the messages in both, or in neither.
fn merge(conversations: &Conversations, from: &str, into: &str) -> Done {
    conversations.modify(|all| {
        let moved = all.get(from)?.messages;
        all.delete(from)?;
        all.update(into, |conversation| {
            conversation.messages.extend(moved);
            conversation.updated_at = now();
            Ok::<_, filelatch::Error>(())
        })?;
        Ok(())
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests {
    fn run(words: &[&str]) -> Result<String, String> {
        let mut out = Vec::new();
        super::run(words, &mut out).map_err(|e| e.to_string())?;
        String::from_utf8(out).map_err(|e| e.to_string())
    }

    /// STORE-7: messages of several speakers, an older form, a merge that is all or nothing.
    #[test]
    fn conversations() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("talk.yaml");
        let old = "version: 1\nrecords:\n  # since the beginning\n  old:\n    messages: [hello]\n    updated_at: 1\n";
        std::fs::write(&path, old).unwrap();
        let file = path.to_str().unwrap();
        assert_eq!(run(&[file, "show", "old"]).unwrap(), "somebody: hello\n");
        std::thread::scope(|scope| {
            for speaker in 0..8 {
                scope.spawn(move || run(&[file, "say", "new", &speaker.to_string()]).unwrap());
            }
        });
        let said = run(&[file, "show", "new"]).unwrap();
        assert!((0..8).all(|speaker| said.contains(&format!(": {speaker}\n"))), "{said}");
        assert_eq!(run(&[file, "list"]).unwrap(), "new: 8 messages\nold: 1 messages\n");
        assert!(std::fs::read_to_string(&path).unwrap().contains("# since the beginning"));
        let before = std::fs::read(&path).unwrap();
        run(&[file, "merge", "new", "gone"]).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), before, "nothing of it was done");
        run(&[file, "merge", "new", "old"]).unwrap();
        assert_eq!(run(&[file, "list"]).unwrap(), "old: 9 messages\n");
        run(&[file, "delete", "old"]).unwrap();
        assert!(run(&[file, "delete", "old"]).is_err() && run(&[file]).is_err());
    }
}
