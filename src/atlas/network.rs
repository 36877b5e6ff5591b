//! Determines the kind of network that an operator runs, from its name and number.
//!
//! A name is evidence, not proof: "Deutsche Telekom AG" serves homes, firms and phones alike, and counts as
//! [`NetworkKind::Residential`], the kind that raises no suspicion. So a name decides only with whole words that
//! describe the business itself.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::engine::geo::NetworkKind;

/// Words and word pairs that describe a business. If several match, the kind listed first wins: a university's data
/// centre is the university's, a bank's cloud the bank's.
const WORDS: [(NetworkKind, &str); 4] = [
    (
        NetworkKind::Vpn,
        "airvpn, anonymizer, cyberghost, expressvpn, hidemyass, ipvanish, ivpn, mullvad, \
         nordvpn, onion, packethub, private internet access, private relay, privatevpn, \
         protonvpn, proxies, proxy, purevpn, surfshark, tor exit, torguard, torservers, \
         tunnelbear, vpn, vpns, vyprvpn, windscribe",
    ),
    (
        NetworkKind::Business,
        "academy, aerospace, airlines, airport, airways, automotive, banca, banco, bancorp, \
         bank, banka, banking, banque, board of education, chemical, city council, city of, \
         clinic, college, county of, credit union, department of, diocese, exxon mobil, \
         foundries, government, health system, healthcare, hochschule, hospital, hospitals, \
         industries, insurance, kommune, law firm, manufacturing, ministerio, ministerstvo, \
         ministry, motors, municipality, museum, parliament, pharma, pharmaceutical, \
         pharmaceuticals, police, polytechnic, public schools, research institute, school \
         district, securities exchange, semiconductor, stadt, state of, steel, stock exchange, \
         universidad, universidade, universita, universitaet, universitas, universitat, \
         universite, universiteit, university, università, universität, université, uniwersytet",
    ),
    (
        NetworkKind::Hosting,
        "akamai, alibaba, alibaba cloud, aliyun, amazon, aws, azure, baidu, bare metal, \
         baremetal, choopa, cloud, cloudflare, clouds, clouvider, co location, colo, \
         colocation, colocrossing, contabo, data center, data centers, data centre, data \
         centres, datacamp, datacenter, datacenters, datacentre, datacentres, dedicated, \
         digital ocean, digitalocean, fastly, flokinet, frantech, gandi, gcp, godaddy, google, \
         hetzner, host, hosted, hosteurope, hosting, hostinger, hostpapa, hosts, huawei cloud, \
         iaas, ionos, kubernetes, leaseweb, linode, m247, microsoft, namecheap, netcup, \
         oracle, ovh, ovhcloud, packet host, psychz, quadranet, rackspace, scaleway, \
         server, serverius, servers, softlayer, tencent, upcloud, vds, virtual \
         machines, virtual private servers, virtual servers, vps, vultr, web services, webhost, \
         webhosting, worldstream, yandex cloud",
    ),
    // Not "wireless": nearly all operators with that name reach homes by radio.
    (
        NetworkKind::Mobile,
        "3g, 4g, 5g, advanced wireless network, afghan wireless, at t mobility, cell, cellco, \
         cellular, celular, docomo, gprs, gsm, kyivstar, lte, megafon, mobi, mobil, mobile, \
         mobiles, mobilink, mobilis, mobiltel, mobily, movil, moviles, mvno, t \
         mobile, verizon wireless, vodacom",
    ),
];

/// Networks whose name does not show their kind, or suggests the wrong one, with the source in parentheses. Sorted by
/// number.
const NUMBERS: &[(u32, NetworkKind)] = &[
    // Verizon Wireless, under its business division's name (ARIN).
    (6167, NetworkKind::Mobile),
    // 1&1 IONOS (RIPE).
    (8560, NetworkKind::Hosting),
    // M247: carries Mullvad, NordVPN and others (mullvad.net/servers).
    (9009, NetworkKind::Vpn),
    // tzulo: rents servers (PeeringDB).
    (11878, NetworkKind::Hosting),
    // Scaleway, formerly Online SAS (RIPE).
    (12876, NetworkKind::Hosting),
    // UK-2: dedicated servers (PeeringDB).
    (13213, NetworkKind::Hosting),
    // OVH (RIPE).
    (16276, NetworkKind::Hosting),
    // Google Fiber: homes (fiber.google.com).
    (16591, NetworkKind::Residential),
    // AT&T Mobility (ARIN).
    (20057, NetworkKind::Mobile),
    // The Constant Company: Vultr, formerly Choopa (vultr.com).
    (20473, NetworkKind::Hosting),
    // T-Mobile USA (ARIN).
    (21928, NetworkKind::Mobile),
    // Cellco Partnership, Verizon Wireless (ARIN).
    (22394, NetworkKind::Mobile),
    // IT7 Networks: BandwagonHost (PeeringDB).
    (25820, NetworkKind::Hosting),
    // velia.net: dedicated servers (velia.net).
    (29066, NetworkKind::Hosting),
    // Akamai's part of iCloud Private Relay (Apple's list of egress addresses).
    (36183, NetworkKind::Vpn),
    // 31173 Services: carries Mullvad (mullvad.net/servers).
    (39351, NetworkKind::Vpn),
    // GleSYS: virtual servers (PeeringDB).
    (42708, NetworkKind::Hosting),
    // MTN Irancell (RIPE).
    (44244, NetworkKind::Mobile),
    // Unified Layer: Bluehost, HostGator (PeeringDB).
    (46606, NetworkKind::Hosting),
    // FranTech: BuyVM (buyvm.net).
    (53667, NetworkKind::Hosting),
    // Reliance Jio: phones first (PeeringDB).
    (55836, NetworkKind::Mobile),
    // Stiftung Erneuerbare Freiheit: runs Tor exits (metrics.torproject.org, Relay Search).
    (60729, NetworkKind::Vpn),
    // Proton: ProtonVPN (protonvpn.com).
    (62371, NetworkKind::Vpn),
    // Linode, since 2022 under Akamai's name (linode.com).
    (63949, NetworkKind::Hosting),
    // PacketHub: NordVPN's addresses (ARIN, RIPE).
    (136787, NetworkKind::Vpn),
    (147049, NetworkKind::Vpn),
    // DFRI: runs Tor exits (metrics.torproject.org, Relay Search).
    (198093, NetworkKind::Vpn),
    // F3 Netze: runs Tor exits (metrics.torproject.org, Relay Search).
    (205100, NetworkKind::Vpn),
    // Hutchison 3G UK (RIPE).
    (206067, NetworkKind::Mobile),
    (207137, NetworkKind::Vpn),
    // Foundation for Applied Privacy: runs Tor exits (metrics.torproject.org, Relay Search).
    (208323, NetworkKind::Vpn),
    // Proton: ProtonVPN (protonvpn.com).
    (209103, NetworkKind::Vpn),
    // Latitude.sh: bare metal (PeeringDB).
    (396356, NetworkKind::Hosting),
];

/// Returns the kind of network that the operator runs, as far as its number and name show it:
/// [`NetworkKind::Residential`] if they do not.
#[must_use]
pub fn network_kind(asn: Option<u32>, organization: &str) -> NetworkKind {
    let known = asn.and_then(|asn| {
        let place = NUMBERS.binary_search_by_key(&asn, |(number, _)| *number).ok()?;
        NUMBERS.get(place)
    });
    known.map_or_else(|| kind_by_name(organization), |(_, kind)| *kind)
}

fn kind_by_name(organization: &str) -> NetworkKind {
    static WORD_FINDER: OnceLock<Option<WordFinder>> = OnceLock::new();
    let Some(finder) = WORD_FINDER.get_or_init(WordFinder::build) else {
        return NetworkKind::default();
    };
    let text = spaced(organization);
    let words = finder.automaton.find_overlapping_iter(&text).map(|word| word.pattern().as_usize());
    words.min().and_then(|first| finder.kinds.get(first).copied()).unwrap_or_default()
}

/// Finds all words in one pass.
struct WordFinder {
    automaton: AhoCorasick,
    /// The kind of each word, in the order of [`WORDS`].
    kinds: Vec<NetworkKind>,
}

impl WordFinder {
    fn build() -> Option<Self> {
        let (kinds, words): (Vec<_>, Vec<_>) =
            words().map(|(kind, word)| (kind, format!(" {word} "))).unzip();
        let automaton =
            AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(words).ok()?;
        Some(Self { automaton, kinds })
    }
}

fn words() -> impl Iterator<Item = (NetworkKind, &'static str)> {
    WORDS.iter().flat_map(|(kind, words)| words.split(", ").map(move |word| (*kind, word)))
}

/// Returns the words in lower case, separated by single spaces. Characters outside ASCII count as letters and are not
/// changed.
fn spaced(name: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len() + 2);
    text.push(b' ');
    for byte in name.bytes().chain([b' ']) {
        if byte.is_ascii_alphanumeric() || !byte.is_ascii() {
            text.push(byte.to_ascii_lowercase());
        } else if !text.ends_with(b" ") {
            text.push(b' ');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_kind_by_whole_words() {
        for (name, kind) in [
            ("", NetworkKind::Residential),
            ("Deutsche Telekom AG", NetworkKind::Residential),
            ("Comcast Cable Communications, LLC", NetworkKind::Residential),
            ("Riverbank Broadband", NetworkKind::Residential),
            ("Prairie Hills Wireless LLC", NetworkKind::Residential),
            ("Amazon.com, Inc.", NetworkKind::Hosting),
            ("DigitalOcean, LLC", NetworkKind::Hosting),
            ("EXAMPLE-HOSTING", NetworkKind::Hosting),
            ("IOMART CLOUD SERVICES LIMITED", NetworkKind::Hosting),
            ("T-Mobile USA, Inc.", NetworkKind::Mobile),
            ("Telefonica Celular de Bolivia S.A.", NetworkKind::Mobile),
            ("Mullvad VPN AB", NetworkKind::Vpn),
            ("Example VPN Hosting", NetworkKind::Vpn),
            ("Technische Universität Dresden", NetworkKind::Business),
            ("State Bank Data Center", NetworkKind::Business),
            ("Exxon Mobil Corporation", NetworkKind::Business),
        ] {
            assert_eq!(network_kind(None, name), kind, "{name}");
        }
    }

    #[test]
    fn a_known_number_outweighs_the_name() {
        assert_eq!(network_kind(Some(22394), "Verizon Business"), NetworkKind::Mobile);
        assert_eq!(network_kind(Some(16276), ""), NetworkKind::Hosting);
        assert_eq!(network_kind(Some(60729), "Stiftung Erneuerbare Freiheit"), NetworkKind::Vpn);
        assert_eq!(network_kind(Some(9009), "M247 Europe SRL"), NetworkKind::Vpn);
        assert_eq!(network_kind(None, "M247 Europe SRL"), NetworkKind::Hosting);
        assert_eq!(network_kind(Some(64496), ""), NetworkKind::Residential);
    }

    #[test]
    fn numbers_are_sorted_and_words_are_as_they_are_searched() {
        assert!(NUMBERS.is_sorted_by(|a, b| a.0 < b.0));
        for (_, word) in words() {
            assert_eq!(spaced(word), format!(" {word} ").into_bytes());
        }
    }
}
