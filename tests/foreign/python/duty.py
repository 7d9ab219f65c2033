#!/usr/bin/env python3
"""Computes duties on claims anew, from docs/use/tariff.md alone, and compares every amount.

    duty.py FILE

FILE is what the example `duty_claims` of karvan-customs writes: tariff files as text, and claims
with the amounts that Karvan computed. Only the standard library is used. Exit code 0 is success.
"""

import csv
import decimal
import json
import pathlib
import sys
import tomllib
from datetime import date
from decimal import Decimal

# More digits than any exact product here has; only a conversion of units may divide.
CONTEXT = decimal.Context(prec=80, traps=[decimal.InvalidOperation, decimal.DivisionByZero])
MODES = {
    "half-up": decimal.ROUND_HALF_UP,
    "half-even": decimal.ROUND_HALF_EVEN,
    "down": decimal.ROUND_DOWN,
    "up": decimal.ROUND_UP,
}
DATA = pathlib.Path(__file__).parents[3] / "subsystems/customs/data/units.tsv"


def units():
    """Code of each unit, with its kind and factor."""
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if not row[0].startswith("#")]
    return {row[0]: (row[1], Decimal(row[2])) for row in rows}


UNITS = units()


class Rate:
    """Percent, amount per unit, amount per item; what is not there is zero."""

    def __init__(self, percent, specific, unit, fixed):
        self.percent, self.specific, self.unit, self.fixed = percent, specific, unit, fixed

    def reduced(self, percent):
        kept = (100 - percent) / 100
        return Rate(self.percent * kept, self.specific * kept, self.unit, self.fixed * kept)

    def compare(self, other):
        """-1, 0 or 1; None when only the goods can tell."""
        kinds = {UNITS[rate.unit][0] for rate in (self, other) if rate.unit}
        if len(kinds) > 1:
            return None
        per_base = [
            rate.specific / UNITS[rate.unit][1] if rate.unit else Decimal(0)
            for rate in (self, other)
        ]
        # Only a division can be inexact, so both are multiplied out when both have a unit.
        if self.unit and other.unit:
            per_base = [
                self.specific * UNITS[other.unit][1],
                other.specific * UNITS[self.unit][1],
            ]
        parts = [(self.percent, other.percent), tuple(per_base), (self.fixed, other.fixed)]
        signs = {(one > two) - (one < two) for one, two in parts} - {0}
        return signs.pop() if len(signs) == 1 else None if signs else 0


class Line:
    """One line of a tariff file with what its block adds."""

    def __init__(self, block, line):
        def own(name):
            return line.get(name, block.get(name))

        self.duty, self.kind = block["duty"], block["kind"]
        self.agreement = block.get("agreement")
        self.first = date.fromisoformat(own("from"))
        self.last = date.fromisoformat(own("until")) if own("until") else date.max
        self.codes, self.importer = line["codes"], line.get("importer")
        self.slab = (Decimal(line["cd_min"]), Decimal(line["cd_max"])) if "cd_min" in line else None
        self.rate = Rate(
            Decimal(line.get("rate", "0")),
            Decimal(line.get("specific", "0")),
            line.get("unit"),
            Decimal(line.get("fixed", "0")),
        )
        assert own("source") and own("status"), "every line has a source and a status"


class Tariff:
    def __init__(self, text):
        self.raw = tomllib.loads(text)
        self.lines = [Line(block, line) for block in self.raw["blocks"] for line in block["rates"]]
        agreements = self.raw.get("agreements", [])
        self.agreements = {agreement["id"]: agreement for agreement in agreements}

    def longest(self, claim, day, duty, fits):
        """The lines that fit with the longest beginning of the code."""
        best, found = -1, []
        for line in self.lines:
            if line.duty != duty or not line.first <= day <= line.last or not fits(line):
                continue
            if line.importer not in (None, claim["importer"]):
                continue
            for code in line.codes:
                if claim["code"].startswith(code) and len(code) >= best:
                    found = [line] if len(code) > best else found + [line]
                    best = len(code)
        return found

    def general(self, claim, day, duty):
        def fits(line):
            if line.kind != "general":
                return False
            if line.slab is None:
                return True
            customs_duty = self.general(claim, day, "CD").rate.percent
            return line.slab[0] <= customs_duty <= line.slab[1]

        (line,) = self.longest(claim, day, duty, fits)
        return line

    def preference(self, claim, day, duty, general):
        """The rate that the preference makes, or None."""

        def fits(line):
            agreement = self.agreements.get(line.agreement)
            if agreement is None or agreement["origin"] != claim["origin"]:
                return False
            last = agreement.get("until")
            return date.fromisoformat(agreement["from"]) <= day and (
                last is None or day <= date.fromisoformat(last)
            )

        best = None
        for line in self.longest(claim, day, duty, fits):
            reduces = line.kind == "percent-reduction"
            rate = general.reduced(line.rate.percent) if reduces else line.rate
            if best is None or rate.compare(best) == -1:
                best = rate
        return best

    def round(self, amount):
        rule = self.raw["rounding"]
        return amount.quantize(Decimal(1).scaleb(-rule["decimals"]), MODES[rule["mode"]])


def counted(quantities, unit):
    """The quantity in the unit of a rate."""
    kind, factor = UNITS[unit]
    for quantity in quantities:
        if quantity["unit"] == unit:
            return Decimal(quantity["value"])
    for quantity in quantities:
        if UNITS[quantity["unit"]][0] == kind:
            return Decimal(quantity["value"]) * UNITS[quantity["unit"]][1] / factor
    raise ValueError(f"no quantity in {unit}")


def exact(rate, base, claim):
    amount = base * rate.percent / 100 + rate.fixed
    if rate.unit:
        amount += counted(claim["quantities"], rate.unit) * rate.specific
    return amount


def compute(tariff, claim):
    """The amounts of each duty, general and preferential, and which rate won."""
    day, value = date.fromisoformat(claim["day"]), Decimal(claim["value"]["value"])
    sides, lines = ({"value": value}, {"value": value}), []
    for charge in tariff.raw["charges"]:
        duty = charge["duty"]
        bases = [sum((side[name] for name in charge["base"]), Decimal(0)) for side in sides]
        general = tariff.general(claim, day, duty).rate
        preference = tariff.preference(claim, day, duty, general)
        used, winner = general, "no-preference"
        if preference is not None:
            order = preference.compare(general)
            if order is None:
                one, two = (exact(rate, bases[1], claim) for rate in (preference, general))
                order = (one > two) - (one < two)
            winner = {-1: "preference", 0: "equal", 1: "general"}[order]
            used = preference if order < 0 else general
        amounts = [
            tariff.round(exact(rate, base, claim)) for rate, base in zip((general, used), bases)
        ]
        for side, amount in zip(sides, amounts):
            side[duty] = amount
        lines.append({
            "duty": duty,
            "general": str(amounts[0]),
            "preferential": str(amounts[1]),
            "winner": winner,
        })
    return lines


def differences(tariffs, claims):
    """Every claim in which an amount, a winner or a total is another one."""
    found = []
    for claim in claims:
        lines = compute(tariffs[claim["tariff"]], claim)
        sides = ("general", "preferential")
        totals = [str(sum(Decimal(line[side]) for line in lines)) for side in sides]
        stated = [claim["total_general"], claim["total_preferential"]]
        if lines != claim["lines"] or totals != stated:
            found.append((claim["number"], lines, claim["lines"]))
    return found


def main():
    decimal.setcontext(CONTEXT)
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    tariffs = {name: Tariff(text) for name, text in report["tariffs"].items()}
    claims = report["claims"]
    wrong = differences(tariffs, claims)
    for number, ours, theirs in wrong[:5]:
        print(f"claim {number}:\n  here   {ours}\n  stated {theirs}")
    winners = [line["winner"] for claim in claims for line in claim["lines"]]
    counts = ", ".join(f"{winners.count(word)} {word}" for word in sorted(set(winners)))
    print(f"{len(claims)} claims, {len(winners)} lines ({counts}), {len(wrong)} differ")
    # A check that cannot fail says nothing: one unit more in any amount must be seen.
    for claim in claims:
        line = claim["lines"][claim["number"] % len(claim["lines"])]
        amount = Decimal(line["preferential"])
        line["preferential"] = str(amount + Decimal(1).scaleb(amount.as_tuple().exponent))
    missed = len(claims) - len(differences(tariffs, claims))
    if missed:
        print(f"{missed} altered claims were not seen")
    return 1 if wrong or missed or len(claims) < 1000 else 0


if __name__ == "__main__":
    sys.exit(main())
