//! What the library does when a server does nothing but call it: threads that replace a file each, if it has the version that they know.
//! Prints writes a second: `conditional_writes DIR THREADS SECONDS full|none`.

use std::time::{Duration, Instant};

use filelatch::{Durability, Expect, Filelatch, WriteOptions};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dir, threads, seconds, durability] = words.as_slice() else { panic!("DIR THREADS SECONDS full|none") };
    let durability = if durability == "full" { Durability::Full } else { Durability::None };
    let time = Duration::from_secs_f64(seconds.parse().expect("seconds"));
    let latch = Filelatch::new();
    let began = Instant::now();
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads.parse::<usize>().expect("a number"))
            .map(|n| {
                let file = latch.file(format!("{dir}/put{n}.txt")).unwrap();
                scope.spawn(move || {
                    let (mut expect, mut count) = (Expect::Any, 0);
                    while began.elapsed() < time {
                        let content = format!("{count:08}{}", "x".repeat(1016));
                        let options = WriteOptions::new().expect(expect).durability(durability);
                        expect = Expect::Version(file.write(content.as_bytes(), &options).unwrap().version.unwrap());
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("{:.0}", counts.iter().sum::<u64>() as f64 / began.elapsed().as_secs_f64());
}
