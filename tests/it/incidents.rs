//! `alerts list --incidents`: what belongs together, with the id that is answered.

use crate::program::{CONFIG, Home};

const TOKEN: &str = "exk_0123456789abcdef0123456789";

/// A leaked token that is used in a URL, from one place: two rules, one incident.
fn home() -> Home {
    let home = Home::new(CONFIG);
    assert!(home.output_with(&["tokens", "add", "ci"], TOKEN).status.success());
    home.print(&["tokens", "leak", "ci", "--at", "2026-03-01"]);
    for n in 0..3 {
        home.append(
            "logs/access.log",
            format!(
                "192.0.2.7 - - [12/Mar/2026:02:1{n}:00 +0000] \"GET /v1/a?api_key={TOKEN} HTTP/1.1\" 200 6\n"
            ),
        );
    }
    home.print(&["replay", "--save", "logs/access.log"]);
    home
}

#[test]
fn incidents_are_listed_with_their_rules_and_the_id_that_is_answered() {
    let home = home();
    let alerts = home.json(&["alerts", "list", "--json"]);
    let id = alerts[0]["incident"].as_str().expect("an id");
    assert!(alerts.len() > 1 && alerts.iter().all(|alert| alert["incident"] == id), "{alerts:?}");
    let told = home.print(&["alerts", "list", "--incidents"]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("2026-03-12 02:10Z critical"), "{told}");
    assert!(lines[0].contains("ci: ") && lines[0].contains("leaked-token-used"), "{told}");
    assert!(lines[0].contains("token-in-url"), "{told}");
    assert_eq!(lines[2].trim(), format!("{id}  {} alerts", alerts.len()), "{told}");
    let listed = home.json(&["alerts", "list", "--incidents", "--json"]);
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &id.into()));
    assert_eq!(listed[0]["open"], alerts.len());
    home.print(&["alerts", "ack", id, "--confirmed"]);
    let told = home.print(&["alerts", "list", "--incidents"]);
    assert!(told.ends_with("alerts, confirmed\n"), "{told}");
    assert_eq!(home.print(&["alerts", "list", "--incidents", "--open"]), "no incidents\n");
    let slip = home.output(&["alerts", "list", "--incidents", "--rule", "token-in-ulr"]);
    assert_eq!(slip.status.code(), Some(2));
}
