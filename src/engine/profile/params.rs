//! Parameters as plain numbers: each with its default, unit and source, listable and settable by name.

use crate::engine::profile::silence::Silence;

/// One parameter, for documentation, `check` and configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// The section, as in `[detect.SECTION]`.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Its default.
    pub default: f64,
    /// The unit of its value.
    pub unit: &'static str,
    /// Where the default comes from.
    pub source: &'static str,
}

/// The parameters of one section.
pub trait Section {
    /// Returns the parameters in the order in which they are documented.
    fn list(&self) -> &'static [Parameter];

    /// Returns the field of a value.
    fn field(&mut self, key: &str) -> Option<&mut f64>;
}

/// Declares a [`Section`]: a struct of `f64`s with defaults, units and sources.
macro_rules! section {
    ($(#[$meta:meta])* $Section:ident = $name:literal {
        $($(#[doc = $about:literal])+ $key:ident = $default:literal, $unit:literal, $source:literal;)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $Section { $($(#[doc = $about])+ pub $key: f64,)+ }

        impl Default for $Section {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $crate::engine::profile::Section for $Section {
            fn list(&self) -> &'static [$crate::engine::profile::Parameter] {
                const LIST: &[$crate::engine::profile::Parameter] =
                    &[$($crate::engine::profile::Parameter {
                        section: $name,
                        key: stringify!($key),
                        about: concat!($($about),+).trim_ascii(),
                        default: $default,
                        unit: $unit,
                        source: $source,
                    },)+];
                LIST
            }

            fn field(&mut self, key: &str) -> Option<&mut f64> {
                match key {
                    $(stringify!($key) => Some(&mut self.$key),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use section;

section! {
    /// The evidence from which something is reported.
    Score = "score" {
        /// Evidence at which a usage is worth a note in the digest.
        notice = 6.0, "nats", "docs/detection.md, Tiers and risk";
        /// Evidence at which a person is notified at once.
        alert = 8.0, "nats", "docs/detection.md, Tiers and risk";
        /// Evidence that makes an incident critical.
        critical = 10.0, "nats", "docs/detection.md, Tiers and risk";
        /// How much less evidence suffices for somebody new with a token of rented machines; never less than a note.
        rented_lead = 2.0, "nats", "docs/detection.md, Tiers and risk";
        /// Hours for which a principal's score must rise a level to be reported again.
        repeat_hours = 24.0, "h", "own choice: one story a day";
        /// Days for which an actor's score must rise a level to be reported again.
        actor_repeat_days = 30.0, "d", "own choice: a person who has been told of an actor knows it";
    }
}

impl Score {
    /// Returns whether a note needs no more than an alert, and that no more than a critical one.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.notice <= self.alert && self.alert <= self.critical
    }

    /// Returns a threshold minus a lead, but never below that of a note.
    #[must_use]
    pub const fn sooner(&self, threshold: f64, lead: f64) -> f64 {
        (threshold - lead).max(self.notice.min(threshold))
    }
}

section! {
    /// When new values become normal.
    Learning = "learning" {
        /// Active days after which something new is evidence; before, everything is learned.
        warm_up = 1.5, "active days", "docs/detection.md, Cold start";
        /// Evidence of novelty from which an actor's values are not learned at once.
        hold = 2.5, "nats", "docs/detection.md, Learning";
        /// Days of use after which they are learned.
        promote_days = 3.0, "d", "docs/detection.md, Learning";
        /// Days of use after which those of a suspect actor are learned.
        promote_alerted_days = 14.0, "d", "Entra ID learns atypical travel for 14 days";
        /// How far a usage may be behind the principal's last to say when it was.
        late_minutes = 10.0, "min", "own choice: log hosts that lag behind one another";
        /// How long network and client of confirmed misuse are evidence against any principal's usage.
        watch_days = 30.0, "d", "docs/detection.md, Words: as long as an actor is not told again";
    }
}

section! {
    /// How much each kind of evidence may add to the score; 0 turns it off.
    Caps = "caps" {
        /// A country never seen.
        country = 6.0, "nats", "docs/detection.md, Identity";
        /// A kind of network never seen.
        kind = 4.5, "nats", "docs/detection.md, Identity";
        /// A network operator never seen.
        network = 5.0, "nats", "docs/detection.md, Identity";
        /// An address neighbourhood (/24, /48) never seen.
        prefix = 4.0, "nats", "docs/detection.md, Identity";
        /// A client program never seen.
        client = 5.0, "nats", "docs/detection.md, Identity";
        /// A version of a known client never seen.
        version = 1.5, "nats", "docs/detection.md, Identity";
        /// A distance that nobody travels.
        hop = 5.0, "nats", "docs/detection.md, Travel";
        /// An hour in which the token is never used.
        hour = 3.0, "nats", "docs/detection.md, Hour";
        /// Routes never used.
        routes = 4.0, "nats", "docs/detection.md, Routes";
        /// Refused and missing objects.
        errors = 6.0, "nats", "docs/detection.md, Errors";
        /// A gap longer than ever.
        dormancy = 4.0, "nats", "docs/detection.md, Dormancy";
        /// Network and client of recently confirmed misuse.
        watched = 1.0, "nats", "docs/detection.md, Words";
        /// Many new networks in one day.
        strangers = 4.0, "nats", "docs/detection.md, Strangers";
        /// Requests more frequent than ever.
        rate = 12.0, "nats", "docs/detection.md, Rate";
    }
}

section! {
    /// Requests per time.
    Rate = "rate" {
        /// Hours of history before bursts are evidence.
        warm_up_hours = 48.0, "h", "docs/detection.md, Cold start";
        /// Hours of history before a day's sum is evidence.
        day_warm_up_hours = 120.0, "h", "docs/detection.md, Cold start";
        /// Requests in a window below which its rate says nothing.
        least_requests = 10.0, "requests", "own choice: a person's clicks";
        /// Requests in a window below which a burst alone is for the digest.
        alone_requests = 50.0, "requests", "docs/detection.md, Rate alone";
        /// Multiple of the largest count of all past days below which a burst alone is for the digest.
        alone_factor = 3.0, "times", "docs/detection.md, Rate alone";
        /// Multiple of the largest count of all past days below which a burst alone is nothing new.
        usual_factor = 2.0, "times", "own choice: a batch of last month is half forgotten";
        /// Active days before which the largest count so far says little.
        alone_days = 7.0, "d", "own choice: a week has a weekly batch";
        /// Half-life of the level.
        level_half_life_days = 4.0, "d", "docs/detection.md, Rate";
    }
}

section! {
    /// Places too far apart for the time between two uses.
    Travel = "travel" {
        /// Speed from which travel is impossible.
        min_speed_kmh = 900.0, "km/h", "airliners; Panther 900, Okta 805, Elastic 800";
        /// Distance between the edges of both accuracy radii below which it is not travel.
        min_distance_km = 500.0, "km", "Elastic 500, CrowdSec 1000";
        /// The same for evidence that only adds to the score.
        evidence_distance_km = 100.0, "km", "BuffaLogs 100";
        /// Accuracy radius if the data has none.
        radius_km = 50.0, "km", "own choice: a large city and its surroundings";
        /// Least radius of mobile networks, whose gateways are far from their users.
        mobile_radius_km = 200.0, "km", "Elastic: carrier hubs move phones between regions";
        /// Least time between two uses.
        min_seconds = 60.0, "s", "own choice: clocks of two log hosts differ";
    }
}

section! {
    /// Two places that take turns.
    Concurrent = "concurrent" {
        /// Period within which the first place, the other, and the first again are used.
        window_minutes = 30.0, "min", "own choice: shorter than most ways from one network to another";
        /// Active days before which taking turns may be a habit not known yet.
        min_active_days = 7.0, "d", "own choice: a week, working days and weekend";
        /// Percentage of days with turns from which they are a habit.
        habit_percent = 5.0, "%", "own choice: one day in twenty";
    }
}

section! {
    /// A token in many hands.
    FanOut = "fan_out" {
        /// Neighbourhoods within an hour below which they are few.
        least = 4.0, "prefixes", "own choice: home, work, phone, and one more";
        /// Multiple of the usual maximum.
        factor = 3.0, "times", "own choice: growth of 5 % a day makes less of it in three weeks";
        /// Requests per neighbourhood within the hour above which they are servers, not people.
        most_requests = 30.0, "requests", "own choice: one in two minutes";
    }
}

section! {
    /// Bytes by hour and day.
    Bytes = "volume" {
        /// Size below which nothing is reported.
        least_mib = 10.0, "MiB", "own choice: a thousand answers of 10 KiB";
        /// Multiple of the largest so far, of which half is forgotten in 32 active days.
        factor = 4.0, "times", "own choice: an export of last month is half forgotten, and may grow to twice its size";
        /// Evidence compared with the past days' largest.
        nats = 6.0, "nats", "docs/detection.md, Tiers and risk";
        /// Active days after which volume is judged.
        min_active_days = 7.0, "d", "own choice: a week has a weekly batch";
    }
}

/// What a profile needs to compare and absorb.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Params {
    /// The evidence from which something is reported.
    pub score: Score,
    /// When new values become normal.
    pub learning: Learning,
    /// How much each kind of evidence may add.
    pub caps: Caps,
    /// Requests per time.
    pub rate: Rate,
    /// Places too far apart.
    pub travel: Travel,
    /// Places that take turns.
    pub concurrent: Concurrent,
    /// A token in many hands.
    pub fan_out: FanOut,
    /// Bytes by hour and day.
    pub volume: Bytes,
    /// Principals that call regularly.
    pub silence: Silence,
}

impl Params {
    /// Returns all sections.
    pub fn sections(&mut self) -> [&mut dyn Section; 9] {
        [
            &mut self.score,
            &mut self.learning,
            &mut self.caps,
            &mut self.rate,
            &mut self.travel,
            &mut self.concurrent,
            &mut self.fan_out,
            &mut self.volume,
            &mut self.silence,
        ]
    }
}
