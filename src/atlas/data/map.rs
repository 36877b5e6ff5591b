//! Computes the least distances between countries' territories from a map in `TopoJSON`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

/// ISO 3166-1: alpha-2 and numeric code of each country.
const ISO_3166: &str = "\
AD020 AE784 AF004 AG028 AI660 AL008 AM051 AO024 AQ010 AR032 AS016 AT040 AU036 AW533 AX248 \
AZ031 BA070 BB052 BD050 BE056 BF854 BG100 BH048 BI108 BJ204 BL652 BM060 BN096 BO068 BQ535 \
BR076 BS044 BT064 BV074 BW072 BY112 BZ084 CA124 CC166 CD180 CF140 CG178 CH756 CI384 CK184 \
CL152 CM120 CN156 CO170 CR188 CU192 CV132 CW531 CX162 CY196 CZ203 DE276 DJ262 DK208 DM212 \
DO214 DZ012 EC218 EE233 EG818 EH732 ER232 ES724 ET231 FI246 FJ242 FK238 FM583 FO234 FR250 \
GA266 GB826 GD308 GE268 GF254 GG831 GH288 GI292 GL304 GM270 GN324 GP312 GQ226 GR300 GS239 \
GT320 GU316 GW624 GY328 HK344 HM334 HN340 HR191 HT332 HU348 ID360 IE372 IL376 IM833 IN356 \
IO086 IQ368 IR364 IS352 IT380 JE832 JM388 JO400 JP392 KE404 KG417 KH116 KI296 KM174 KN659 \
KP408 KR410 KW414 KY136 KZ398 LA418 LB422 LC662 LI438 LK144 LR430 LS426 LT440 LU442 LV428 \
LY434 MA504 MC492 MD498 ME499 MF663 MG450 MH584 MK807 ML466 MM104 MN496 MO446 MP580 MQ474 \
MR478 MS500 MT470 MU480 MV462 MW454 MX484 MY458 MZ508 NA516 NC540 NE562 NF574 NG566 NI558 \
NL528 NO578 NP524 NR520 NU570 NZ554 OM512 PA591 PE604 PF258 PG598 PH608 PK586 PL616 PM666 \
PN612 PR630 PS275 PT620 PW585 PY600 QA634 RE638 RO642 RS688 RU643 RW646 SA682 SB090 SC690 \
SD729 SE752 SG702 SH654 SI705 SJ744 SK703 SL694 SM674 SN686 SO706 SR740 SS728 ST678 SV222 \
SX534 SY760 SZ748 TC796 TD148 TF260 TG768 TH764 TJ762 TK772 TL626 TM795 TN788 TO776 TR792 \
TT780 TV798 TW158 TZ834 UA804 UG800 UM581 US840 UY858 UZ860 VA336 VC670 VE862 VG092 VI850 \
VN704 VU548 WF876 WS882 YE887 YT175 ZA710 ZM894 ZW716";

/// Countries on the map that have no numeric code, by their names there. Kosovo's code is the one that address data
/// use. No addresses belong to anything else without a code.
const BY_NAME: [(&str, &str); 5] = [
    ("Kosovo", "XK"),
    ("Somaliland", "SO"),
    ("N. Cyprus", "CY"),
    ("Cyprus U.N. Buffer Zone", "CY"),
    ("Baikonur", "KZ"),
];

/// Parts of a country on the map that have a code of their own: code, name of the country with which they are drawn,
/// and the box that contains them (west, south, east, north).
const PARTS: [(&str, &str, [f64; 4]); 12] = [
    ("GF", "France", [-55.0, 2.0, -51.0, 6.0]),
    ("GP", "France", [-62.0, 15.7, -60.9, 16.6]),
    ("MQ", "France", [-61.4, 14.3, -60.7, 15.0]),
    ("RE", "France", [55.0, -21.5, 56.0, -20.8]),
    ("YT", "France", [44.9, -13.1, 45.4, -12.5]),
    ("BQ", "Netherlands", [-69.0, 11.9, -62.8, 17.8]),
    ("SJ", "Norway", [-10.0, 70.5, -7.0, 71.5]),
    ("BV", "Norway", [3.0, -55.0, 4.0, -54.0]),
    ("TK", "New Zealand", [-173.0, -10.0, -170.5, -8.0]),
    ("CX", "Indian Ocean Ter.", [105.0, -11.0, 106.0, -10.0]),
    ("CC", "Indian Ocean Ter.", [96.0, -13.0, 97.5, -11.0]),
    ("SJ", "Norway", [10.0, 73.5, 35.0, 81.5]),
];

/// Lines are divided so that neighbouring points are at most this far apart.
const STEP_KM: f64 = 10.0;
const EARTH_KM: f64 = 6371.0;
/// How many neighbouring points are treated as one.
const CHUNK: usize = 64;

/// The distance that means "unknown".
const UNKNOWN: u16 = u16::MAX;

#[derive(Deserialize)]
struct Topology {
    transform: Transform,
    objects: Objects,
    arcs: Vec<Vec<[f64; 2]>>,
}

#[derive(Deserialize)]
struct Transform {
    scale: [f64; 2],
    translate: [f64; 2],
}

#[derive(Deserialize)]
struct Objects {
    countries: Collection,
}

#[derive(Deserialize)]
struct Collection {
    geometries: Vec<Geometry>,
}

#[derive(Deserialize)]
struct Geometry {
    id: Option<String>,
    properties: Properties,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Deserialize)]
struct Properties {
    name: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "arcs")]
enum Shape {
    Polygon(Vec<Vec<i64>>),
    MultiPolygon(Vec<Vec<Vec<i64>>>),
}

/// Returns the codes of all countries in ascending order.
pub(crate) fn codes() -> Vec<&'static str> {
    let iso = ISO_3166.split_whitespace().filter_map(|entry| entry.get(..2));
    iso.chain(["XK"]).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the least distance between each pair of countries in units of 10 km, rounded down: row a of the triangle
/// contains b = 0 to a, in the order of [`codes`].
///
/// Each is a lower bound: one step is subtracted, which the divided lines may miss. Neighbours share a line of the map
/// and have the distance 0.
pub(crate) fn triangle(topojson: &str) -> Result<Vec<u16>> {
    let map: Topology = serde_json::from_str(topojson).context("reading the map")?;
    let arcs: Vec<Vec<[f64; 2]>> =
        map.arcs.iter().map(|arc| positions(arc, &map.transform)).collect();
    let lines = lines_by_country(&map.objects.countries, &arcs)?;
    let chunks: BTreeMap<&str, Vec<Chunk>> = lines
        .iter()
        .map(|(code, lines)| {
            let arcs = lines.iter().filter_map(|line| arcs.get(*line));
            (*code, arcs.flat_map(|arc| chunks(arc)).collect())
        })
        .collect();
    let codes = codes();
    let mut triangle = Vec::new();
    for (row, a) in codes.iter().enumerate() {
        for b in codes.iter().take(row + 1) {
            triangle.push(match (lines.get(a), lines.get(b)) {
                (Some(x), Some(y)) if !x.is_disjoint(y) => 0,
                (Some(_), Some(_)) => {
                    tens_of_km(least_chord(chunks.get(a), chunks.get(b)).context("no points")?)
                }
                _ => UNKNOWN,
            });
        }
    }
    Ok(triangle)
}

/// Reverses the map's quantisation: integers, each relative to the previous one.
fn positions(arc: &[[f64; 2]], transform: &Transform) -> Vec<[f64; 2]> {
    let mut at = [0.0, 0.0];
    let [scale_x, scale_y] = transform.scale;
    let [x0, y0] = transform.translate;
    arc.iter()
        .map(|[dx, dy]| {
            let [x, y] = at;
            at = [x + dx, y + dy];
            let [x, y] = at;
            [x * scale_x + x0, y * scale_y + y0]
        })
        .collect()
}

/// Returns the lines of the map that are borders of each country.
fn lines_by_country(
    map: &Collection,
    arcs: &[Vec<[f64; 2]>],
) -> Result<BTreeMap<&'static str, BTreeSet<usize>>> {
    let mut lines: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
    for country in &map.geometries {
        let whole = code_of(country);
        let rings: Vec<&Vec<i64>> = match &country.shape {
            Shape::Polygon(rings) => rings.iter().collect(),
            Shape::MultiPolygon(polygons) => polygons.iter().flatten().collect(),
        };
        for ring in rings {
            let ring: Vec<usize> = ring
                .iter()
                .map(|line| usize::try_from((*line).max(!*line)))
                .collect::<Result<_, _>>()?;
            let first = ring.first().and_then(|line| arcs.get(*line)?.first()).copied();
            let part = first.and_then(|first| part_of(&country.properties.name, first));
            if let Some(code) = part.or(whole) {
                lines.entry(code).or_default().extend(ring);
            }
        }
    }
    Ok(lines)
}

fn code_of(country: &Geometry) -> Option<&'static str> {
    let named = BY_NAME.iter().find(|(name, _)| *name == country.properties.name);
    let numbered = || {
        let id = country.id.as_deref()?;
        ISO_3166.split_whitespace().find(|entry| entry.get(2..) == Some(id))?.get(..2)
    };
    named.map(|(_, code)| *code).or_else(numbered)
}

fn part_of(country: &str, [x, y]: [f64; 2]) -> Option<&'static str> {
    let is_within =
        |[west, south, east, north]: [f64; 4]| west <= x && x <= east && south <= y && y <= north;
    let part = PARTS.iter().find(|(_, whole, area)| *whole == country && is_within(*area));
    part.map(|(code, ..)| *code)
}

type Vector = [f64; 3];

/// Neighbouring points on the unit sphere, and a ball that contains them.
struct Chunk {
    points: Vec<Vector>,
    centre: Vector,
    radius: f64,
}

/// Divides a line into chunks of points that are at most a step apart.
fn chunks(line: &[[f64; 2]]) -> Vec<Chunk> {
    let mut points = Vec::new();
    for (from, to) in line.iter().zip(line.iter().skip(1)) {
        let km = chord(&vector(*from), &vector(*to)) * EARTH_KM;
        let n_steps = (km / STEP_KM).ceil().max(1.0);
        let mut step = 0.0;
        while step < n_steps {
            let share = step / n_steps;
            let [[x0, y0], [x1, y1]] = [*from, *to];
            points.push(vector([x0 + (x1 - x0) * share, y0 + (y1 - y0) * share]));
            step += 1.0;
        }
    }
    points.extend(line.last().map(|last| vector(*last)));
    points.chunks(CHUNK).map(|points| chunk(points.to_vec())).collect()
}

fn chunk(points: Vec<Vector>) -> Chunk {
    let mut low = [f64::INFINITY; 3];
    let mut high = [f64::NEG_INFINITY; 3];
    for point in &points {
        for ((low, high), x) in low.iter_mut().zip(&mut high).zip(point) {
            (*low, *high) = (low.min(*x), high.max(*x));
        }
    }
    let [[a, b, c], [x, y, z]] = [low, high];
    let centre = [f64::midpoint(a, x), f64::midpoint(b, y), f64::midpoint(c, z)];
    let radius = points.iter().map(|point| chord(point, &centre)).fold(0.0, f64::max);
    Chunk { points, centre, radius }
}

fn vector([longitude, latitude]: [f64; 2]) -> Vector {
    let (x, y) = (longitude.to_radians(), latitude.to_radians());
    [libm::cos(y) * libm::cos(x), libm::cos(y) * libm::sin(x), libm::sin(y)]
}

fn chord([a, b, c]: &Vector, [x, y, z]: &Vector) -> f64 {
    let (dx, dy, dz) = (a - x, b - y, c - z);
    (dx * dx + dy * dy + dz * dz).sqrt()
}

/// Returns the least straight distance between points of the two, on the unit sphere.
fn least_chord(a: Option<&Vec<Chunk>>, b: Option<&Vec<Chunk>>) -> Option<f64> {
    let pairs =
        || a.into_iter().flatten().flat_map(|x| b.into_iter().flatten().map(move |y| (x, y)));
    let mut least = pairs()
        .map(|(x, y)| chord(&x.centre, &y.centre) + x.radius + y.radius)
        .min_by(f64::total_cmp)?;
    for (x, y) in pairs() {
        if chord(&x.centre, &y.centre) - x.radius - y.radius < least {
            for point in &x.points {
                least = y.points.iter().map(|other| chord(point, other)).fold(least, f64::min);
            }
        }
    }
    Some(least)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2002")]
fn tens_of_km(chord: f64) -> u16 {
    let km = 2.0 * libm::asin((chord / 2.0).min(1.0)) * EARTH_KM;
    ((km - STEP_KM).max(0.0) / 10.0).floor() as u16
}
