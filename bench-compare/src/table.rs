//! The result: rows of Markdown.

use std::fmt::Write;

pub struct Row {
    pub what: String,
    pub ours: String,
    pub raw: String,
    pub ratio: String,
    pub target: &'static str,
    /// `None`: for information only.
    pub met: Option<bool>,
}

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn add(&mut self, what: impl Into<String>, ours: String, raw: String, ratio: String) -> &mut Row {
        let what = what.into();
        eprintln!("{what}: {ours} | {raw} | {ratio}");
        self.rows.push(Row { what, ours, raw, ratio, target: "", met: None });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    pub fn markdown(&self, head: [&str; 4]) -> String {
        let mut text = format!(
            "| {} | {} | {} | {} | target | |\n|---|---|---|---|---|---|\n",
            head[0], head[1], head[2], head[3]
        );
        for row in &self.rows {
            let met = match row.met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "",
            };
            let Row { what, ours, raw, ratio, target, .. } = row;
            writeln!(text, "| {what} | {ours} | {raw} | {ratio} | {target} | {met} |").unwrap();
        }
        text
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Row {
    pub fn target(&mut self, text: &'static str, met: bool) {
        self.target = text;
        self.met = Some(met);
    }
}

/// `3.1 ×`
pub fn times(ratio: f64) -> String {
    match ratio {
        r if r.is_nan() => "–".to_owned(),
        r if r < 0.095 => format!("{r:.3} ×"),
        r if r < 9.95 => format!("{r:.2} ×"),
        r => format!("{r:.0} ×"),
    }
}
