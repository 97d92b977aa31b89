"""The table of resources shows the most that a rule asked for and used."""

from defectbench.reports.costs import USAGE, usage_table


def record(**changes: object) -> dict:
    job = {
        "rule_name": "model",
        "s": 30.0,
        "cpu_time": 45.0,
        "max_rss": 700.0,
        "threads": 2,
        "resources": {"mem_mb": 1000, "runtime": 5},
    }
    return job | changes


def rows(jobs: list[dict]) -> list[dict[str, str]]:
    lines = usage_table(jobs).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(USAGE, row, strict=True)) for row in cells]


def test_a_rule_shows_its_most_demanding_job():
    large = record(s=60.0, max_rss=900.0, resources={"mem_mb": 2000, "runtime": 10})
    (row,) = rows([record(), large])
    assert row == {
        "rule": "model",
        "jobs": "2",
        "threads": "2",
        "CPUs used": "1.5",
        "MB asked": "2000",
        "MB used": "900",
        "minutes asked": "10",
        "minutes used": "1.00",
    }


def test_what_was_not_recorded_is_zero():
    (row,) = rows([{"s": 0.1, "max_rss": "NA", "cpu_time": "NA", "rule_name": "metrics"}])
    assert (row["MB asked"], row["MB used"], row["CPUs used"]) == ("0", "0", "0.0")


def test_rules_are_sorted():
    assert [row["rule"] for row in rows([record(), record(rule_name="images")])] == [
        "images",
        "model",
    ]
