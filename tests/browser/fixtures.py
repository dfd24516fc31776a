"""A shop with a history: datasets whose days are in every state, for pages that have something to show."""

import datetime
import gzip
import random
from collections.abc import Callable
from pathlib import Path

from daemon import Project

PASSWORD = "correct horse battery"

SHOP = """
[web]
auth = "users.toml"
"""

ORDERS = """
# One row per order, from the shop's nightly export.
[source]
url = "orders/{day:%Y-%m}/{day}.csv"
[schedule]
cron = "30 5 * * *"
timezone = "Europe/Paris"
start = 2024-03-01
end = 2024-06-30
lag_days = 1
[target]
table = "orders"
key = ["id"]
[rows]
where = "amount > 0"
columns = [
  { name = "id", type = "bigint", required = true },
  { name = "placed_at", type = "timestamptz" },
  { name = "country", type = "text" },
  { name = "amount", type = "numeric", from = "Amount (EUR)" },
]
derive = [{ name = "is_large", type = "boolean", sql = "amount >= 100" }]
[limits]
max_rejected = "2%"
"""

PAYMENTS = """
[source]
url = "payments/{day}.csv.gz"
[schedule]
cron = "0 6 * * *"
start = 2024-05-01
end = 2024-06-30
lag_days = 1
[target]
table = "payments"
key = ["id"]
[rows]
columns = [{ name = "id", type = "bigint", required = true }, { name = "amount", type = "numeric" }]
[catch_up]
stop_on_failure = true
[retry]
max_attempts = 1
"""

SESSIONS = """
[source]
url = "web_sessions/{day:%Y%m%d}.csv"
[schedule]
cron = "0 4 * * *"
start = 2024-04-01
end = 2024-06-30
lag_days = 1
[target]
table = "analytics_sessions"
key = ["id"]
[rows]
columns = [{ name = "id", type = "bigint", required = true }, { name = "pages", type = "integer" }]
[waiting]
give_up_after = "3650d"
deadline = "07:30"
"""

STOCK = """
[source]
url = "stock_levels/{day}.csv"
[schedule]
cron = "15 22 * * *"
timezone = "America/New_York"
start = 2024-05-06
end = 2024-06-29
days = "mon-sat"
[target]
table = "stock_levels"
key = ["id"]
mode = "upsert"
[rows]
columns = [{ name = "id", type = "bigint", required = true }, { name = "pieces", type = "integer" }]
"""

CLICKS = """
[source]
url = "newsletter_clicks/{day}.csv"
[schedule]
cron = "@daily"
start = 2024-06-01
end = 2024-06-30
lag_days = 1
[target]
table = "newsletter_clicks"
key = ["id"]
[rows]
columns = [{ name = "id", type = "bigint", required = true }, { name = "clicks", type = "integer" }]
[waiting]
give_up_after = "1s"
"""

RATES = """
[source]
url = "exchange_rates/{day}.csv"
[schedule]
cron = "0 17 * * *"
timezone = "Europe/Berlin"
start = 2015-01-01
end = 2024-12-31
[target]
table = "exchange_rates"
key = ["currency"]
[rows]
columns = [{ name = "currency", type = "text", required = true }, { name = "rate", type = "double" }]
[waiting]
give_up_after = "3650d"
"""


class SampleShop:
    """The shop's project. The same files each time."""

    def __init__(self, folder: Path):
        self.random = random.Random(1)
        self.project = Project(folder, SHOP)
        for name, text in {
            "orders": ORDERS, "payments": PAYMENTS, "web_sessions": SESSIONS, "stock_levels": STOCK,
            "newsletter_clicks": CLICKS, "exchange_rates": RATES,
        }.items():
            self.project.write(f"datasets/{name}.toml", text)
        self.project.add_user("ada", "operator", PASSWORD)
        self.orders()
        self.others()
        self.exchange_rates()
        self.history()

    def put(self, name: str, lines: list[str]) -> None:
        path = self.project.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = ("\n".join(lines) + "\n").encode()
        path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)

    def busy(self, day: datetime.date, most: int) -> int:
        """How much there is on a day: less at weekends, and more each month."""
        week = [0.9, 0.85, 0.8, 0.85, 1, 0.6, 0.5][day.weekday()]
        return int(most * week * (0.6 + 0.08 * (day.month - 3)) * self.random.uniform(0.9, 1.1))

    def orders(self) -> None:
        for day in days("2024-03-01", "2024-06-30"):
            lines = ["id,placed_at,country,Amount (EUR)"]
            for number in range(self.busy(day, 300)):
                large, small = self.random.uniform(4, 180), self.random.uniform(4, 80)
                amount = self.random.choice(["0", f"{large:.2f}", f"{small:.2f}"])
                time = f"{day}T{self.random.randrange(24):02}:{self.random.randrange(60):02}:00+02:00"
                country = self.random.choice(["FR", "DE", "ES", "IT", "BE"])
                lines.append(f"{day:%Y%m%d}{number:04},{time},{country},{amount}")
            if day.day % 9 == 0:
                lines[7] = lines[7].rsplit(",", 1)[0] + ",n/a"
            if str(day) == "2024-06-18":  # somebody opened it in a spreadsheet
                for at in range(5, 65, 4):
                    lines[at] = lines[at].rsplit(",", 1)[0] + ',"1.234,50"'
                lines[12] = "," + lines[12].split(",", 1)[1]
                lines[30] = lines[30].replace("T", " at ", 1)
            self.put(f"orders/{day:%Y-%m}/{day}.csv", lines)

    def others(self) -> None:
        self.counts("payments/{day}.csv.gz", days("2024-05-01", "2024-06-30"), "amount", lambda day: self.busy(day, 90))
        cut = self.project.folder / "payments/2024-06-24.csv.gz"
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
        sessions = days("2024-04-01", "2024-06-28")
        self.counts("web_sessions/{day:%Y%m%d}.csv", sessions, "pages", lambda day: self.busy(day, 120))
        self.counts("stock_levels/{day}.csv", days("2024-05-06", "2024-06-29"), "pieces", lambda day: 60)
        clicked = [day for day in days("2024-06-01", "2024-06-30") if day.day not in (8, 9, 22)]
        self.counts("newsletter_clicks/{day}.csv", clicked, "clicks", lambda day: self.busy(day, 40))

    def counts(
        self, url: str, on: list[datetime.date], column: str, how_many: Callable[[datetime.date], int]
    ) -> None:
        """Files of two columns, `id` and that one, for each of these days."""
        for day in on:
            rows = [f"{id},{self.random.randrange(1, 400)}" for id in range(1, how_many(day) + 1)]
            self.put(url.format(day=day), [f"id,{column}", *rows])

    def exchange_rates(self) -> None:
        first, *rest = days("2015-01-01", "2024-12-31")
        self.put(f"exchange_rates/{first}.csv", ["currency,rate", "USD,1.09", "CHF,0.97", "JPY,163.2"])
        folder = self.project.folder / "exchange_rates"
        for day in rest:
            if str(day) not in ("2019-08-15", "2024-12-30", "2024-12-31"):
                # A link costs less than a file, above all when it is removed.
                (folder / f"{day}.csv").hardlink_to(folder / f"{first}.csv")

    def history(self) -> None:
        """What the shop's people and commands did before anybody looks at the page."""
        run = self.project.run
        run("skip", "2024-05-27", "2024-06-19", "--dataset", "stock_levels", "--reason", "the warehouse was closed")
        for only in (["--dataset", "newsletter_clicks"], []):  # whose missing files are given up at the second look
            run("catch-up", *only, ok=(0, 1, 2))


def days(first: str, last: str) -> list[datetime.date]:
    first, last = map(datetime.date.fromisoformat, (first, last))
    return [first + datetime.timedelta(number) for number in range((last - first).days + 1)]
