//! What the benchmarks share.

/// A document of 1,000 records, about 200 KB.
pub fn document() -> Vec<u8> {
    let record = |id: usize| {
        let note = format!("record number {id} of a document that many programs change, with some text to fill it");
        format!(
            "    {{\n      \"id\": {id},\n      \"title\": \"Task {id}\",\n      \"count\": 0,\n      \"note\": \"{note}\"\n    }}"
        )
    };
    let records: Vec<String> = (0..1000).map(record).collect();
    format!("{{\n  \"name\": \"bench\",\n  \"records\": [\n{}\n  ]\n}}\n", records.join(",\n")).into_bytes()
}
