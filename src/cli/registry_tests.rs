//! Tests of registry files: what is read, and which faults are told.

use super::*;
use crate::engine::secret::Secret;

fn read(text: &str) -> anyhow::Result<Vec<Changes>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    Ok(read_registry(file.path(), &SealKey::new(b"key"))?.meant(&[])?)
}

#[test]
fn a_file_that_is_too_large_was_cut_in_the_middle_of_a_row() {
    let rows = "token\nexk_1234567890abcdef\n";
    let size = rows.len() as u64;
    assert_eq!(whole(rows.as_bytes(), size).unwrap().as_str(), rows);
    let fault = whole(rows.as_bytes(), size - 4).unwrap_err().to_string();
    assert!(fault.contains("at most 23 B"), "{fault}");
}

#[test]
fn csv_and_json_lines_say_the_same() {
    let csv = read("token,name,decoy\nexk_1234567890abcdef,bait,true\n,jwt:iss:sub,\n").unwrap();
    let json = "{\"token\":\"exk_1234567890abcdef\",\"name\":\"bait\",\"decoy\":true}\n\n{\"token\":null,\"name\":\"jwt:iss:sub\",\"decoy\":\"\"}\n";
    assert_eq!(csv, read(json).unwrap());
    assert_eq!(csv.len(), 2);
}

#[test]
fn a_secret_that_no_log_will_show_was_imported_without_a_word() {
    let key = SealKey::new(b"key");
    let id = key.seal(&Secret::new(b"abc"));
    let text =
        format!("token,name\nabc,a\naaaaaaaaaaaaaaaa,b\nexk_1234567890abcdef,c\n,d\n{id},e\n");
    assert_eq!(csv(&text, &key).doubts, [2, 3]);
    let json = json("{\"name\":\"e\"}\n{\"token\":\"[redacted]\",\"name\":\"a\"}", &key);
    assert_eq!((json.doubts, json.rows.len()), (vec![2], 2));
    let fault = &csv("token\nBearer exk_1234567890abcdef\n", &key).faults[0];
    assert!(fault.message.contains("without words such as Bearer"), "{fault:?}");
}

fn faults(text: &str) -> Vec<String> {
    let error = read(text).unwrap_err();
    let lines = error.downcast_ref::<BadRows>().unwrap().lines();
    lines.map(|line| line.split_once(':').unwrap().1.to_owned()).collect()
}

#[test]
fn line_ends_of_two_bytes_and_empty_lines_made_the_wrong_lines_bad() {
    for (text, line) in [
        ("name,decoy\njwt:a,so\n", "2"),
        ("name,decoy\r\njwt:a,so\r\n", "2"),
        ("name,decoy\r\njwt:a,1\r\n\r\njwt:b,so\r\n", "4"),
        ("\n\nname,decoy\n\n\njwt:a,so\n", "6"),
        ("name,decoy\n\"jwt:a\nb\",1\n\njwt:c,so", "5"),
    ] {
        let told = faults(text).concat();
        assert_eq!(
            told,
            format!("{line}: column decoy: expected true or false, found \"so\""),
            "{text:?}"
        );
    }
    assert!(faults("\r\n\r\nnmae\r\n")[0].starts_with("3: unknown column"));
    assert!(faults("name\r\n\r\na,b\r\n")[0].starts_with("3: expected 1 column"));
    let told = faults("[{\"name\":\"a\"}]");
    assert_eq!(told, ["1: expected JSON objects, one per line, found an array"]);
}

#[test]
fn a_row_with_a_name_alone_was_imported_and_applied_to_nothing() {
    let token = |n| TokenId([n; 16]);
    let known = |n, name: &str| Registered {
        token: Some(token(n)),
        name: name.into(),
        ..Registered::default()
    };
    let known = [known(1, "ci"), known(2, "web"), known(3, "web"), known(4, "old")];
    let meant = |rows: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("token,name,revoked_at\n{rows}")).unwrap();
        let file = read_registry(file.path(), &SealKey::new(b"key")).unwrap();
        file.meant(&known).map_err(|error| {
            let lines = error.lines();
            lines.map(|line| line.split_once(':').unwrap().1.to_owned()).collect::<Vec<_>>()
        })
    };
    let rows = meant(",ci,2026-01-01\n,jwt:i:s,2026-01-01\n").unwrap();
    let subjects: Vec<_> = rows.iter().map(Changes::subject).collect();
    assert_eq!(subjects, [(Some(token(1)), ""), (None, "jwt:i:s")]);
    assert_eq!(
        meant(",ghost,2026-01-01\n,ci,\n,web,2026-01-01\n,jwt:,\n").unwrap_err(),
        [
            "2: expected a token and not only a name that no token has",
            "4: expected one token and not only a name that 2 tokens have",
            "5: expected a token and not only a name that no token has",
        ]
    );
    // Names count as they are once the file is imported.
    let fault = "3: expected a token and not only a name that no token has";
    assert_eq!(meant(&format!("{},new,\n,old,2026-01-01\n", token(4))).unwrap_err(), [fault]);
    let fault = "3: expected one token and not only a name that 2 tokens have";
    assert_eq!(meant(&format!("{},ci,\n,ci,2026-01-01\n", token(5))).unwrap_err(), [fault]);
    let fault = "3: repeats the token of line 2 with other values: keep one of the two";
    assert_eq!(meant(&format!("{},ci,\n,ci,2026-01-01\n", token(1))).unwrap_err(), [fault]);
}

#[test]
fn of_a_column_that_was_there_twice_the_last_one_won() {
    let told = faults("name,owner,owner,decoy,owner,decoy\njwt:i:s,ops,ann,1,bob,\n");
    assert_eq!(told, ["1: column owner is there twice", "1: column decoy is there twice"]);
    let told = faults("name,nmae,name\na,b,c\n");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1], "1: column name is there twice");
}

#[test]
fn a_bad_value_was_not_shown_even_if_it_can_be_no_secret() {
    let told =
        |column: &str, text: &str| faults(&format!("name,{column}\njwt:a,{text}\n")).concat();
    let found = |column: &str, text: &str| {
        let told = told(column, text);
        told.split_once(", found ").map(|(_, found)| found.to_owned())
    };
    assert_eq!(found("expires_at", "01.06.2027").as_deref(), Some("\"01.06.2027\""));
    assert_eq!(found("expires_at", "2027-06-01 10:00").as_deref(), Some("\"2027-06-01 10:00\""));
    assert_eq!(found("countries", "DEU").as_deref(), Some("\"DEU\""));
    for text in ["123456789012", "1234-5678-9012-3456", "exk_secret", "hunter2"] {
        assert_eq!(found("expires_at", text), None);
    }
}

#[test]
fn a_code_that_is_no_country_allowed_use_from_nowhere() {
    let told = faults("name,countries\njwt:a,DE UK\njwt:b,EU\njwt:c,de GB XK\n");
    let gb = "2: column countries: no country has the code UK: the United Kingdom is GB";
    assert_eq!(told, [gb, "3: column countries: no country has the code EU"]);
}

#[test]
fn all_faults_are_told_with_their_lines_and_without_secrets() {
    let faults = |text| {
        let error = read(text).unwrap_err();
        let lines: Vec<_> = error.downcast_ref::<BadRows>().unwrap().lines().collect();
        assert!(!lines.concat().contains("exk_secret"), "{lines:?}");
        lines
    };
    let told = faults(
        "token,name,expires_at\nexk_secret,a,soon\n,,\nexk_secret,b,2026-01-01\nexk_secret\n",
    );
    assert_eq!(told.len(), 3);
    assert!(told[0].contains(":2: column expires_at: expected a date"), "{told:?}");
    assert!(told[1].contains(":3: expected a token or a name, found neither"), "{told:?}");
    assert!(told[2].contains(":5: expected 3 columns, as the heading has, found 1"), "{told:?}");
    assert!(faults("token,nmae\n")[0].contains("unknown column \"nmae\""));
    let told = faults("exk_secret,ops\n");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(":1: the first line must be the heading: some of"), "{told:?}");
    let told = faults("exk_secret,name\n");
    assert!(told[0].contains(":1: column 1 of the heading is unknown"), "{told:?}");
    let told = faults("{\"token\": exk_secret}");
    assert!(told[0].ends_with(":1:11: expected a JSON object on one line"), "{told:?}");
}

#[test]
fn of_a_row_only_the_first_fault_was_told() {
    let row = "exk_1234567890abcdef,a,soon,192.0.2.0/33,XX,maybe\n";
    let told = faults(&format!("token,name,expires_at,networks,countries,decoy\n{row}"));
    let columns = ["expires_at", "networks", "countries", "decoy"];
    assert_eq!(told.len(), columns.len(), "{told:?}");
    for (told, column) in told.iter().zip(columns) {
        assert!(told.starts_with(&format!("2: column {column}: ")), "{told}");
    }
    let error =
        read("token,expires_at,decoy\nexk_1234567890abcdef,soon,no\n,soon,so\n").unwrap_err();
    assert!(error.to_string().contains(": 2 rows cannot be read"), "{error}");
}

#[test]
fn a_name_that_no_token_has_was_told_only_once_all_rows_could_be_read() {
    let rows = "exk_1234567890abcdef,ci,soon\n,ghost,2027-01-01\n,ci,2027-01-01\n";
    let told = faults(&format!("token,name,expires_at\n{rows}"));
    assert_eq!(
        told,
        [
            "2: column expires_at: expected a date or RFC 3339 time",
            "3: expected a token and not only a name that no token has",
        ]
    );
    // Invalid rows may be about the tokens of these names.
    for row in ["Bearer exk_1234567890abcdef,ci,\n", "exk_1234567890abcdef,ci\n", "ci,ci,,\n"] {
        let told = faults(&format!("token,name,expires_at\n{row},ci,2027-01-01\n"));
        assert_eq!(told.len(), 1, "{told:?}");
    }
    // Nothing else about an invalid row is a contradiction.
    let told = faults("name,decoy,owner\njwt:i:s,so,a\njwt:i:s,no,a\n");
    assert_eq!(told, ["2: column decoy: expected true or false, found \"so\""]);
}

#[test]
fn an_unknown_key_of_json_was_not_named() {
    let told =
        faults("{\"tokne\":\"exk_1234567890abcdef\"}\n{\"tokne\":\"exk_234567890abcdef1\"}\n");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("1: unknown key \"tokne\", did you mean \"token\"? keys"),
        "{told:?}"
    );
    let told = faults("{\"name\":\"jwt:i:s\",\"colour\":\"blue\",\"decoy\":\"so\"}\n");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("1: unknown key \"colour\"; keys are token, name"), "{told:?}");
    let secret = format!("glpat-{}", "Zq8xK2vN4mB6wR1tY7uP");
    let told = faults(&format!("{{\"{secret}\":\"a\"}}\n")).concat();
    assert!(told.starts_with("1: a key is unknown and looks like a secret"), "{told}");
    assert!(!told.contains(&secret), "{told}");
}

#[test]
fn headings_in_capitals_have_their_names_told() {
    let told = faults("Token,Name,Owner\nexk_1234567890abcdef,a,b\n");
    let meant = ["token", "name", "owner"].map(|name| format!("did you mean \"{name}\"?"));
    assert!(told.iter().zip(&meant).all(|(told, meant)| told.contains(meant)), "{told:?}");
    assert_eq!(read("").unwrap(), []);
}

#[test]
fn a_secret_in_the_wrong_column_was_stored_in_clear() {
    let secret = format!("glpat-{}", "Zq8xK2vN4mB6wR1tY7uP");
    for column in ["name", "owner", "notes", "scopes"] {
        for text in [secret.clone(), format!("was {secret} before"), format!("a:{secret}")] {
            let told = faults(&format!("token,{column}\nexk_1234567890abcdef,{text}\n"));
            assert_eq!(told.len(), 1, "{column}: {told:?}");
            let remedy = format!("2: column {column}: expected no secret, ");
            assert!(told[0].starts_with(&remedy) && !told[0].contains(&secret), "{told:?}");
        }
    }
    let told = faults(&format!("token,rotated_to\nexk_1234567890abcdef,to {secret}\n"));
    assert!(told[0].starts_with("2: column rotated_to: expected no secret"), "{told:?}");
    read("name,notes\naws:AKIAIOSFODNN7EXAMPLE,aws:AKIAIOSFODNN7EXAMPLE\n").unwrap();
}

#[test]
fn a_successor_that_is_a_secret_is_sealed() {
    let sealed = |text: &str| SealKey::new(b"key").seal(&Secret::new(text.as_bytes())).to_string();
    let shaped = format!("glpat-{}", "Zq8xK2vN4mB6wR1tY7uP");
    let rows = format!("exk_1234567890abcdef,a,{shaped}\nexk_a,b,exk_b\nexk_b,c,\nexk_c,d,d-2\n");
    let rows = read(&format!("token,name,rotated_to\n{rows}")).unwrap();
    let successors: Vec<_> = rows.iter().filter_map(Changes::successor).collect();
    assert_eq!(successors, [sealed(&shaped), sealed("exk_b"), String::new(), "d-2".to_owned()]);
}
