#!/usr/bin/env python3
"""Computes duties anew, from docs/use/tariff.md alone, and compares every amount.

    duty.py FILE

FILE is what the example `duty_claims` of karvan-customs writes: tariff files as text, claims with
the duties that Karvan computed, and grants of parts of claims with what is to be paid. All numbers
here are fractions, so that nothing is rounded but where the rules say so. Units have the factors
that UN/ECE publishes, when KARVAN_TEST_DATA names the folder with its list. Only the standard
library is used. Exit code 0 is success.
"""

import csv
import json
import math
import os
import pathlib
import re
import sys
import tomllib
from datetime import date
from fractions import Fraction

OURS = pathlib.Path(__file__).parents[3] / "subsystems/customs/data/units.tsv"
PUBLISHED = "customs/codelists/unece-rec20-units.csv"
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
# What the list gives a factor in, and what it measures; a number alone counts.
KINDS = {"kg": "mass", "m³": "volume", "": "count"}
# Fraction places of a quantity.
QUANTITY_PLACES = 6
# Fraction places of the value of a part of the goods.
PART_PLACES = 2


def own_units():
    """Code of each unit, with its kind and factor, from the file of Karvan."""
    with OURS.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if not row[0].startswith("#")]
    return {row[0]: (row[1], Fraction(row[2])) for row in rows}


def published_units(path):
    """The same from the list of UN/ECE Recommendation 20: `4,546 092 x 10⁻³ m³`."""
    found = {}
    shape = re.compile(r"([0-9,]+)?(?:x?(10)([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+))?(kg|m³|)")
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = re.sub(r"\s", "", row["ConversionFactor"])
            if row["Status"] or not text:
                continue
            if text.startswith("10") and text[2:3] in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻" and text[2:3]:
                text = "1x" + text
            parts = shape.fullmatch(text)
            if parts is None:
                continue
            number, ten, power, unit = parts.groups()
            factor = Fraction((number or "1").replace(",", "."))
            if ten:
                factor *= Fraction(10) ** int(power.translate(RAISED))
            found[row["CommonCode"]] = (KINDS[unit], factor)
    return found


def units():
    folder = os.environ.get("KARVAN_TEST_DATA")
    if not folder:
        print("SKIPPED the factors that UN/ECE publishes: KARVAN_TEST_DATA is not set")
        return own_units()
    return published_units(pathlib.Path(folder) / PUBLISHED)


UNITS = units()


def rounded(number, places, mode):
    """A fraction with so many decimal places."""
    scaled = number * 10**places
    low = math.floor(scaled)
    over = scaled - low
    if mode == "down":
        whole = math.trunc(scaled)
    elif mode == "up":
        whole = math.ceil(scaled) if scaled > 0 else low
    elif over == Fraction(1, 2):
        away = low + 1 if scaled > 0 else low
        whole = away if mode == "half-up" else low + low % 2
    else:
        whole = low + (over > Fraction(1, 2))
    return Fraction(whole, 10**places)


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
            rate.specific / UNITS[rate.unit][1] if rate.unit else Fraction(0)
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
        self.slab = None
        if "cd_min" in line:
            self.slab = (Fraction(line["cd_min"]), Fraction(line["cd_max"]))
        self.rate = Rate(
            Fraction(line.get("rate", "0")),
            Fraction(line.get("specific", "0")),
            line.get("unit"),
            Fraction(line.get("fixed", "0")),
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
        return rounded(amount, rule["decimals"], rule["mode"])


def converted(quantity, unit):
    """The quantity in another unit of the same kind, not rounded; None when there is none."""
    (kind, factor), (wanted, divisor) = UNITS[quantity["unit"]], UNITS[unit]
    return Fraction(quantity["value"]) * factor / divisor if kind == wanted else None


def counted(quantities, unit):
    """The quantity in the unit of a rate."""
    for quantity in quantities:
        if quantity["unit"] == unit:
            return Fraction(quantity["value"])
    for quantity in quantities:
        found = converted(quantity, unit)
        if found is not None:
            return found
    raise ValueError(f"no quantity in {unit}")


def exact(rate, base, claim):
    amount = base * rate.percent / 100 + (rate.fixed if claim.get("bears_fixed", True) else 0)
    if rate.unit:
        share = claim.get("share", Fraction(1))
        amount += counted(claim["quantities"], rate.unit) * share * rate.specific
    return amount


def compute(tariff, claim):
    """The amounts of each duty, general and preferential, and which rate won."""
    day, value = date.fromisoformat(claim["day"]), Fraction(claim["value"]["value"])
    sides, lines = ({"value": value}, {"value": value}), []
    for charge in tariff.raw["charges"]:
        duty = charge["duty"]
        bases = [sum((side[name] for name in charge["base"]), Fraction(0)) for side in sides]
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
            "general": amounts[0],
            "preferential": amounts[1],
            "winner": winner,
        })
    return lines


def total(lines, side):
    return sum((line[side] for line in lines), Fraction(0))


def grant(tariff, claim):
    """What is to be paid when a part is granted: payable, without the preference, saved."""
    unit = claim["goods"]["unit"]
    goods = rounded(converted(claim["quantities"][0], unit), QUANTITY_PLACES, "half-even")
    granted = Fraction(claim["granted"]["value"])
    if claim["quota"]:
        has = rounded(converted(claim["quota"], unit), QUANTITY_PLACES, "half-even")
        if granted > has:
            raise ValueError(f"{granted} {unit} granted, the quota has {has}")
    share = min(granted / goods, Fraction(1)) if granted > 0 and goods > 0 else Fraction(0)
    value = Fraction(claim["value"]["value"])
    part = rounded(value * share, PART_PLACES, "half-up")

    def of(value, share, bears_fixed):
        amount = {**claim["value"], "value": value}
        of_part = {**claim, "value": amount, "share": share, "bears_fixed": bears_fixed}
        return compute(tariff, of_part)

    whole = total(of(value, Fraction(1), True), "general")
    payable = total(of(part, share, share > 0), "preferential")
    payable += total(of(value - part, 1 - share, share == 0), "general")
    return goods, payable, whole, max(whole - payable, Fraction(0))


def differences(tariffs, claims):
    """Every claim in which an amount, a winner or a total is another one."""
    found = []
    for claim in claims:
        lines = compute(tariffs[claim["tariff"]], claim)
        totals = [total(lines, side) for side in ("general", "preferential")]
        stated = [Fraction(claim["total_general"]), Fraction(claim["total_preferential"])]
        theirs = [
            {**line, "general": Fraction(line["general"]),
             "preferential": Fraction(line["preferential"])}
            for line in claim["lines"]
        ]
        if lines != theirs or totals != stated:
            found.append((claim["number"], lines, theirs))
    return found


STATED = ("payable", "without_preference", "saved")


def grant_differences(tariffs, grants):
    """Every grant in which an amount, or the quantity of the goods, is another one."""
    found = []
    for claim in grants:
        ours = grant(tariffs[claim["tariff"]], claim)
        stated = (Fraction(claim["goods"]["value"]), *(Fraction(claim[name]) for name in STATED))
        if ours != stated:
            found.append((claim["number"], ours, stated))
    return found


def least(text):
    """One unit in the last place of a number."""
    _, _, decimals = text.partition(".")
    return Fraction(1, 10 ** len(decimals))


def decimal(number):
    return f"{float(number)} = {number}"


def check_claims(tariffs, claims):
    wrong = differences(tariffs, claims)
    for number, ours, theirs in wrong[:5]:
        print(f"claim {number}:\n  here   {ours}\n  stated {theirs}")
    winners = [line["winner"] for claim in claims for line in claim["lines"]]
    counts = ", ".join(f"{winners.count(word)} {word}" for word in sorted(set(winners)))
    print(f"{len(claims)} claims, {len(winners)} lines ({counts}), {len(wrong)} differ")
    # A check that cannot fail says nothing: one unit more in any amount must be seen.
    for claim in claims:
        line = claim["lines"][claim["number"] % len(claim["lines"])]
        line["preferential"] = Fraction(line["preferential"]) + least(line["preferential"])
    missed = len(claims) - len(differences(tariffs, claims))
    if missed:
        print(f"{missed} altered claims were not seen")
    return not wrong and not missed and len(claims) >= 1000


def check_grants(tariffs, grants):
    wrong = grant_differences(tariffs, grants)
    for number, ours, theirs in wrong[:5]:
        print(f"grant {number}:\n  here   {[decimal(n) for n in ours]}")
        print(f"  stated {[decimal(n) for n in theirs]}")
    saving = sum(Fraction(claim["saved"]) > 0 for claim in grants)
    limited = sum(claim["quota"] is not None for claim in grants)
    mixed = sum(claim["quantities"][0]["unit"] != claim["goods"]["unit"] for claim in grants)
    print(f"{len(grants)} grants of a part ({saving} save something, {limited} within a quota, "
          f"{mixed} in another unit), {len(wrong)} differ")
    for claim in grants:
        name = STATED[claim["number"] % len(STATED)]
        claim[name] = Fraction(claim[name]) + least(claim[name])
    missed = len(grants) - len(grant_differences(tariffs, grants))
    if missed:
        print(f"{missed} altered grants were not seen")
    return not wrong and not missed and len(grants) >= 1000 and saving > 100 and limited > 100


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    tariffs = {name: Tariff(text) for name, text in report["tariffs"].items()}
    claims = check_claims(tariffs, report["claims"])
    grants = check_grants(tariffs, report["grants"])
    return 0 if claims and grants else 1


if __name__ == "__main__":
    sys.exit(main())
