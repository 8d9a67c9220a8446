//! A worker on a queue: `queue add QUEUE WORD…` adds a command, `queue work QUEUE [COUNT]` claims and completes commands until none is left, or
//! so many, without running anything; prints how many it has completed.
#![expect(clippy::print_stdout, reason = "a small program of its own, not part of the library")]

use std::error::Error;

use filelatch::store::queue::{ClaimOptions, NewCommand, Outcome};
use filelatch::{Filelatch, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["add", path, ref command @ ..] if !command.is_empty() => {
            println!("{}", Filelatch::new().queue(path)?.add(NewCommand::new(command.iter().copied()))?);
        }
        // For measuring: so many commands in one step.
        ["fill", path, count] => {
            let commands = (0..count.parse::<usize>()?).map(|i| NewCommand::new(["work", &i.to_string()]));
            println!("{}", Filelatch::new().queue(path)?.add_all(commands)?.len());
        }
        ["work", path, ref count @ ..] => {
            let most = count.first().map_or(Ok(u64::MAX), |count| count.parse())?;
            println!("{}", work(path, most)?);
        }
        _ => return Err("usage: queue add QUEUE WORD… | queue fill QUEUE COUNT | queue work QUEUE [COUNT]".into()),
    }
    Ok(())
}

fn work(path: &str, most: u64) -> Result<u64, filelatch::Error> {
    let queue = Filelatch::new().queue(path)?;
    let wait = ClaimOptions::new().wait(Wait::Forever).until_empty();
    let mut done = 0;
    let mut claimed = None;
    while done < most {
        let claim = match claimed.take() {
            Some(claim) => claim,
            None => match queue.claim(&wait)? {
                Some(claim) => claim,
                None => break,
            },
        };
        // Here the command would be run; see `Claim::hand_on`.
        let outcome = Outcome::new().exit_code(0);
        done += 1;
        if done < most {
            claimed = claim.complete_and_claim(&outcome, &ClaimOptions::new())?;
        } else {
            claim.complete(&outcome)?;
        }
    }
    Ok(done)
}
