//! Reads the parts that formats share: times and addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use tokenwatch::engine::record::time::{self, Time};
use tokenwatch::engine::record::{address_and_port, client_behind, parse_address};

/// Reads an input as a time of every shape; its first line as a day and its second as a time of that day.
pub fn read_time(input: &[u8]) {
    let shapes =
        [time::read, time::clf, time::iso, time::cpanel, time::slashed, time::asctime, time::epoch];
    for time in shapes.iter().filter_map(|read| read(input)) {
        check_time(time);
    }
    let mut lines = input.split(|byte| *byte == b'\n');
    if let (Some(day), Some(clock)) = (lines.next(), lines.next()) {
        time::of_day(day, clock).into_iter().for_each(check_time);
    }
    if let Some(bytes) = input.first_chunk() {
        time::epoch_of(i64::from_le_bytes(*bytes)).into_iter().for_each(check_time);
        time::epoch_of_float(f64::from_le_bytes(*bytes)).into_iter().for_each(check_time);
    }
    if let Some(length) = time::syslog_length(input) {
        assert!(length <= input.len());
    }
}

/// A time is read back as it is printed.
fn check_time(time: Time) {
    assert!(matches!(time.digits, 0 | 3 | 6), "{time:?}");
    let printed = time.at.to_rfc3339(time.digits);
    // Years beyond 9999 are printed with a sign, as no log has them.
    if !printed.starts_with(['+', '-']) {
        assert_eq!(time::iso(printed.as_bytes()), Some(time.in_utc()), "{printed}");
    }
}

/// Reads an input as an address and as a list of proxies.
pub fn read_address(input: &[u8]) {
    for address in [parse_address(input), address_and_port(input)].into_iter().flatten() {
        assert_eq!(address, address.to_canonical());
        assert_eq!(parse_address(address.to_string().as_bytes()), Some(address));
    }
    let peer: IpAddr = "10.0.0.1".parse().unwrap();
    let trusted: [IpNet; 2] = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let client = client_behind(Some(peer), Some(input), &trusted);
    assert!(client.is_some_and(|client| client == client.to_canonical()), "{client:?}");
    assert_eq!(client_behind(Some(peer), Some(input), &[]), Some(peer), "nobody is trusted");
    assert_eq!(client_behind(None, Some(input), &trusted), None);
}
