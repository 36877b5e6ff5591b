#!/usr/bin/env python3
"""Writes the sample stories: python3 sample-logs/generate.py

Everything is invented: tokens, names, requests. Client addresses lie at random places in large public
allocations, only so that their country and network can be looked up; they stand for nobody. The same
program gives the same bytes. Only the standard library is used.
"""
import base64, gzip, hashlib, json, os, random
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
START = datetime(2026, 3, 2, tzinfo=timezone.utc)  # a Monday
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

BROWSERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0",
]
# Where people and machines are: (first two octets, a range of the third). Large allocations of access
# networks and clouds in these countries.
NETS = {
    "de-home": ("84.150", 0, 255), "de-home-2": ("91.33", 0, 255), "de-mobile": ("80.187", 64, 127),
    "fr-home": ("90.20", 0, 255), "us-home": ("73.162", 0, 255), "gb-home": ("86.140", 0, 255),
    "jp-home": ("126.77", 0, 255), "br-home": ("177.32", 0, 255), "ng-home": ("105.112", 0, 127),
    "vn-home": ("14.161", 0, 127), "de-cloud": ("3.120", 0, 255), "us-cloud": ("3.80", 0, 255),
    "nl-hosting": ("5.79", 64, 127),
}


class Story:
    """One log: its random numbers, its lines, what its registry says."""

    def __init__(self, name, days, form):
        self.name, self.days, self.form = name, days, form
        self.random = random.Random("tokenwatch sample " + name)
        self.lines, self.registry = [], []

    def secret(self, name):
        return "exk_" + hashlib.sha256(f"{self.name}/{name}".encode()).hexdigest()[:40]

    def address(self, net):
        head, low, high = NETS[net]
        return f"{head}.{self.random.randint(low, high)}.{self.random.randint(1, 254)}"

    def add(self, at, client, method, target, status, size, agent, token=None, referer="-"):
        at += timedelta(milliseconds=self.random.randint(0, 999))
        self.lines.append((at, self.form(at, client, method, target, status, size, agent, token, referer)))

    def raw(self, at, text):
        self.lines.append((at, text))

    def write(self, packed=False):
        folder = os.path.join(HERE, self.name)
        os.makedirs(folder, exist_ok=True)
        self.lines.sort(key=lambda pair: pair[0])
        text = "".join(line + "\n" for _, line in self.lines).encode()
        path = os.path.join(folder, "access.log.1.gz" if packed else "access.log")
        with open(path, "wb") as f:
            f.write(gzip.compress(text, 9, mtime=0) if packed else text)
        if self.registry:
            columns = sorted({key for row in self.registry for key in row}, key=COLUMNS.index)
            with open(os.path.join(folder, "registry.csv"), "w") as f:
                f.write(",".join(columns) + "\n")
                for row in self.registry:
                    f.write(",".join(row.get(column, "") for column in columns) + "\n")


COLUMNS = ["token", "name", "owner", "issued_at", "expires_at", "revoked_at", "decoy", "leaked_at", "notes"]


def compact(row):
    """JSON as servers write it: no spaces."""
    return json.dumps(row, separators=(",", ":"))


# Formats -------------------------------------------------------------------------------------

def clf_time(at):
    return at.strftime("%d/%b/%Y:%H:%M:%S +0000")


def nginx_auth(at, client, method, target, status, size, agent, token, referer):
    """combined, then "$http_authorization"."""
    auth = f"Bearer {token}" if token else "-"
    return f'{client} - - [{clf_time(at)}] "{method} {target} HTTP/1.1" {status} {size} "{referer}" "{agent}" "{auth}"'


def vhost_auth(at, client, method, target, status, size, agent, token, referer):
    auth = f"Bearer {token}" if token else "-"
    return f'api.example.org:443 {client} - - [{clf_time(at)}] "{method} {target} HTTP/1.1" {status} {size} "{referer}" "{agent}" "{auth}"'


def combined(at, client, method, target, status, size, agent, token, referer):
    """combined only: tokens can stand in the URL alone."""
    return f'{client} - - [{clf_time(at)}] "{method} {target} HTTP/1.1" {status} {size} "{referer}" "{agent}"'


def nginx_json(at, client, method, target, status, size, agent, token, referer):
    return compact({
        "time_iso8601": at.strftime("%Y-%m-%dT%H:%M:%S+00:00"), "msec": round(at.timestamp(), 3), "remote_addr": client,
        "request": f"{method} {target} HTTP/2.0", "status": status, "body_bytes_sent": size, "scheme": "https",
        "ssl_protocol": "TLSv1.3", "host": "api.example.org", "http_referer": "" if referer == "-" else referer,
        "http_user_agent": agent, "http_authorization": f"Bearer {token}" if token else "",
    })


def caddy_json(at, client, method, target, status, size, agent, token, referer):
    headers = {"User-Agent": [agent], "Accept": ["*/*"]}
    if token:
        headers["X-Api-Key"] = [token]
    return compact({
        "level": "info", "ts": round(at.timestamp(), 6), "logger": "http.log.access.log0", "msg": "handled request",
        "request": {"remote_ip": client, "remote_port": "50123", "client_ip": client, "proto": "HTTP/2.0", "method": method,
                    "host": "api.example.net", "uri": target, "headers": headers, "tls": {"version": 772, "proto": "h2"}},
        "bytes_read": 0, "user_id": "", "duration": 0.0123, "size": size, "status": status,
        "resp_headers": {"Server": ["Caddy"], "Content-Type": ["application/json"]},
    })


def traefik_json(at, client, method, target, status, size, agent, token, referer):
    row = {
        "ClientAddr": f"{client}:41022", "ClientHost": client, "ClientUsername": "-", "DownstreamContentSize": size,
        "DownstreamStatus": status, "Duration": 8123456, "RequestHost": "api.example.com", "RequestMethod": method,
        "RequestPath": target, "RequestProtocol": "HTTP/2.0", "RequestScheme": "https", "RouterName": "api@file",
        "StartUTC": at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z", "entryPointName": "websecure", "level": "info", "msg": "",
        "request_User-Agent": agent, "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if token:
        row["request_Authorization"] = f"Bearer {token}"
    return compact(row)


# Who is in the logs ----------------------------------------------------------------------------

ROUTES = [("GET", "/v1/orders?page={n}"), ("GET", "/v1/orders/{n}"), ("GET", "/v1/items/{n}"), ("POST", "/v1/orders"),
          ("GET", "/v1/customers/{n}"), ("PATCH", "/v1/items/{n}"), ("GET", "/v1/reports/daily")]


def target(story, routes):
    method, path = story.random.choice(routes)
    return method, path.replace("{n}", str(story.random.randint(1, 9000)))


def status(story, method):
    dice = story.random.random()
    if dice < 0.012:
        return 404
    if dice < 0.015:
        return 500
    return 201 if method == "POST" else 304 if dice < 0.06 else 200


def machine(story, name, net, agent, every, jitter=0.1, routes=2, first=0, last=None, token=None):
    """Calls at an even pace, day and night, from one address."""
    token = token or story.secret(name)
    client, own = story.address(net), story.random.sample(ROUTES, routes)
    at, end = START + first * DAY + every * story.random.random(), START + (last or story.days) * DAY
    while at < end:
        method, path = target(story, own)
        story.add(at, client, method, path, status(story, method), story.random.randint(180, 5200), agent, token)
        at += every * (1 + jitter * (story.random.random() * 2 - 1))
    return token, client


def person(story, name, net, agent, sessions=3, first=0, last=None, begin=7, end=17, token=None, home=None):
    """Works on weekdays, in bursts, from one place; the address stays within one neighbourhood."""
    token = token or story.secret(name)
    home = home or story.address(net)
    own = story.random.sample(ROUTES, 5)
    for day in range(first, last or story.days):
        at = START + day * DAY
        if at.weekday() >= 5:
            continue
        for _ in range(sessions):
            at = START + day * DAY + timedelta(hours=story.random.uniform(begin, end))
            for _ in range(story.random.randint(4, 11)):
                method, path = target(story, own)
                story.add(at, home, method, path, status(story, method), story.random.randint(300, 14000), agent, token)
                at += timedelta(seconds=story.random.uniform(2, 90))
    return token, home


def noise(story, per_day):
    """Requests without a token, scanners, and lines that are no requests at all."""
    probes = ["/wp-login.php", "/.env", "/phpmyadmin/index.php", "/cgi-bin/luci", "/.git/config", "/robots.txt"]
    for day in range(story.days):
        for _ in range(per_day):
            at = START + day * DAY + DAY * story.random.random()
            client = story.address(story.random.choice(list(NETS)))
            if story.random.random() < 0.35:
                story.add(at, client, "GET", story.random.choice(probes), 404, 153, story.random.choice(["-", "Mozilla/5.0 zgrab/0.x", "python-requests/2.32.3"]))
            else:
                story.add(at, client, "GET", story.random.choice(["/", "/favicon.ico", "/docs/", "/healthz"]), 200, story.random.randint(90, 9000), story.random.choice(BROWSERS))


def odd_lines(story):
    """What real logs hold beside well-formed requests."""
    odd = START + 1 * DAY + 3 * HOUR
    client = story.address("vn-home")
    story.raw(odd, f'{client} - - [{clf_time(odd)}] "\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01" 400 157 "-" "-" "-"')
    story.raw(odd + MINUTE, f'{client} - - [{clf_time(odd + MINUTE)}] "-" 408 0 "-" "-" "-"')
    story.raw(odd + 2 * MINUTE, f'{client} - - [{clf_time(odd + 2 * MINUTE)}] "GET /a\\x22b HTTP/1.0" 404 153 "-" "quote \\x22 and \\x5C" "-"')
    story.raw(odd + 3 * MINUTE, "nginx: worker process 4711 exited on signal 9")


def jwt(subject, issued, lifetime, serial):
    pack = lambda value: base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()
    issued = int(issued.timestamp())
    head = pack({"alg": "RS256", "typ": "JWT", "kid": "2026-02"})
    body = pack({"iss": "https://id.example.org", "sub": subject, "aud": "api", "iat": issued, "exp": issued + int(lifetime.total_seconds()), "jti": f"{subject}-{serial}"})
    sign = base64.urlsafe_b64encode(hashlib.sha512(f"{head}.{body}".encode()).digest()).rstrip(b"=").decode()
    return f"{head}.{body}.{sign}"


def jwt_user(story, subject, net, agent, first=0, last=None):
    """Works on weekdays with a token that is renewed every hour."""
    home, serial, tokens = story.address(net), 0, []
    own = story.random.sample(ROUTES, 4)
    for day in range(first, last or story.days):
        if (START + day * DAY).weekday() >= 5:
            continue
        for hour in sorted(story.random.sample(range(7, 17), 4)):
            at = START + day * DAY + hour * HOUR + MINUTE * story.random.uniform(0, 5)
            token = jwt(subject, at, HOUR, serial)
            serial += 1
            tokens.append((at, token))
            for _ in range(story.random.randint(5, 9)):
                method, path = target(story, own)
                story.add(at, home, method, path, status(story, method), story.random.randint(300, 8000), agent, token)
                at += timedelta(seconds=story.random.uniform(20, 300))
    return tokens, home


def household(story):
    """The tokens that every story has beside its hero."""
    machine(story, "inventory-sync", "de-cloud", "python-requests/2.32.3", 40 * MINUTE)
    machine(story, "metrics", "us-cloud", "Go-http-client/2.0", 30 * MINUTE, jitter=0.02, routes=1)
    machine(story, "billing", "de-cloud", "okhttp/4.12.0", 70 * MINUTE)
    person(story, "ana", "de-home", BROWSERS[0], sessions=2)
    person(story, "ben", "fr-home", BROWSERS[1], sessions=2)
    person(story, "chi", "gb-home", "curl/8.11.1", sessions=1)


# The stories -----------------------------------------------------------------------------------

def quiet_week():
    story = Story("quiet-week", 10, nginx_auth)
    household(story)
    person(story, "dee", "us-home", BROWSERS[2], begin=13, end=23)
    jwt_user(story, "eve-smith", "de-home-2", BROWSERS[0])
    noise(story, 60)
    odd_lines(story)
    story.write(packed=True)


def traveller():
    story = Story("traveller", 15, caddy_json)
    household(story)
    agent = BROWSERS[1]
    token, _ = person(story, "field-engineer", "de-home-2", agent, last=8)
    # A flight of twelve hours lies between home and Tokyo; a week there, then home again.
    person(story, "field-engineer", "jp-home", agent, first=9, last=13, begin=0, end=9, token=token)
    person(story, "field-engineer", "de-home-2", agent, first=14, token=token)
    story.registry.append({"token": token, "name": "field-engineer", "owner": "field team"})
    noise(story, 30)
    story.write()


def stolen_token():
    story = Story("stolen-token", 13, nginx_auth)
    household(story)
    token, _ = machine(story, "deploy-bot", "de-cloud", "curl/8.5.0", 25 * MINUTE)
    story.registry.append({"token": token, "name": "deploy-bot", "owner": "platform team"})
    thief, at = story.address("ng-home"), START + 11 * DAY + timedelta(hours=2, minutes=13)
    for n in range(60):
        method, path = target(story, [("GET", "/v1/customers/{n}"), ("GET", "/v1/export?page={n}")])
        story.add(at, thief, method, path, 200, story.random.randint(8000, 60000), "python-requests/2.31.0", token)
        at += timedelta(seconds=story.random.uniform(1, 20))
    noise(story, 40)
    odd_lines(story)
    story.write()


def burst():
    story = Story("burst", 14, vhost_auth)
    household(story)
    token, client = machine(story, "price-feed", "de-cloud", "Go-http-client/1.1", 10 * MINUTE, jitter=0.3)
    story.registry.append({"token": token, "name": "price-feed", "owner": "shop team"})
    at = START + 12 * DAY + timedelta(hours=14, minutes=7)
    for _ in range(900):
        method, path = target(story, ROUTES[:2])
        story.add(at, client, method, path, 200, story.random.randint(400, 2000), "Go-http-client/1.1", token)
        at += timedelta(seconds=story.random.uniform(0.5, 3.5))
    noise(story, 30)
    story.write()


def expired_jwt():
    story = Story("expired-jwt-accepted", 9, nginx_json)
    household(story)
    tokens, home = jwt_user(story, "kim", "de-home-2", BROWSERS[2])
    jwt_user(story, "lou", "fr-home", BROWSERS[0])
    # A server that forgot to check `exp`: yesterday's token still works.
    at, (_, old) = START + 8 * DAY + timedelta(hours=9, minutes=40), tokens[-6]
    for n in range(4):
        story.add(at + n * MINUTE, home, "GET", f"/v1/orders?page={n}", 200, 2310, BROWSERS[2], old)
    # Another one does check: a stale client is refused, and that is nobody's alert.
    for n in range(12):
        story.add(at + n * 5 * MINUTE, home, "GET", "/v1/items/7", 401, 61, BROWSERS[2], tokens[-9][1])
    noise(story, 30)
    story.write()


def leaked_key():
    story = Story("leaked-key-used", 9, vhost_auth)
    household(story)
    token, _ = machine(story, "newsletter", "us-cloud", "axios/1.7.9", 35 * MINUTE, last=6)
    leaked = START + 6 * DAY + 10 * HOUR
    story.registry.append({"token": token, "name": "newsletter", "owner": "marketing", "leaked_at": leaked.strftime("%Y-%m-%dT%H:%M:%SZ"), "notes": "found in a public repository"})
    finder, at = story.address("vn-home"), leaked + 47 * MINUTE
    for n, answer in enumerate([200, 200, 403, 200, 200]):
        story.add(at + n * 9 * timedelta(seconds=1), finder, "GET", "/v1/customers?page=%d" % n, answer, 4400, "curl/7.81.0", token)
    noise(story, 30)
    story.write()


def token_in_url():
    story = Story("token-in-url", 6, combined)
    household(story)  # their tokens stand in headers, which this log does not have
    token, client = story.secret("dashboard"), story.address("de-home")
    for day in range(2, 6):
        for n in range(9):
            at = START + day * DAY + timedelta(hours=8 + n, minutes=story.random.randint(0, 59))
            story.add(at, client, "GET", f"/v1/widgets/{n + 1}/feed?access_token={token}&limit=20", 200, 3100, BROWSERS[0])
    # The page that follows carries the whole address of the page before, token and all.
    story.add(START + 5 * DAY + 17 * HOUR, client, "GET", "/static/app.css", 200, 900, BROWSERS[0], referer=f"https://app.example.org/board?access_token={token}")
    # Masked by the application: no token any more.
    story.add(START + 5 * DAY + 18 * HOUR, client, "GET", "/v1/widgets/3/feed?access_token=[FILTERED]", 200, 900, BROWSERS[0])
    noise(story, 60)
    odd_lines(story)
    story.write()


def honeytoken():
    story = Story("honeytoken", 8, traefik_json)
    household(story)
    bait = story.secret("bait")
    story.registry.append({"token": bait, "name": "backup-admin-key", "owner": "security team", "decoy": "true", "notes": "planted in the wiki"})
    at, finder = START + 6 * DAY + timedelta(hours=22, minutes=31), story.address("nl-hosting")
    for n, path in enumerate(["/v1/me", "/v1/admin/users", "/v1/customers?page=1"]):
        story.add(at + n * 7 * timedelta(seconds=1), finder, "GET", path, 401, 88, "Mozilla/5.0 (compatible; keycheck)", bait)
    noise(story, 30)
    story.write()


def revoked_token():
    story = Story("revoked-token-accepted", 7, nginx_json)
    household(story)
    token, client = machine(story, "old-exporter", "de-cloud", "Java/17.0.14", 30 * MINUTE, last=5)
    revoked = START + 5 * DAY + 9 * HOUR
    story.registry.append({"token": token, "name": "old-exporter", "owner": "data team", "revoked_at": revoked.strftime("%Y-%m-%dT%H:%M:%SZ")})
    # Refused as it should be, then accepted by one instance that has the old list.
    for n, answer in enumerate([401, 401, 200, 401]):
        story.add(revoked + 20 * MINUTE + n * 30 * MINUTE, client, "GET", "/v1/reports/daily", answer, 512, "Java/17.0.14", token)
    noise(story, 25)
    story.write()


for tell in (quiet_week, traveller, stolen_token, burst, expired_jwt, leaked_key, token_in_url, honeytoken, revoked_token):
    tell()
