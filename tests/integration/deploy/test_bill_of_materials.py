"""`make sbom`: a CycloneDX bill of materials that names every locked package with its version and checksums."""

import asyncio
import json
from pathlib import Path

from deploy.supply_chain.__main__ import write_bill_of_materials
from tests.unit.test_supply_chain import LOCKED


async def test_the_bill_of_materials_names_every_locked_package(tmp_path: Path) -> None:
    target = tmp_path / "sluice.cdx.json"
    await asyncio.to_thread(write_bill_of_materials, target)
    bill = json.loads(target.read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = {each["name"].lower().replace("_", "-"): each for each in bill["components"]}
    assert {name: each["version"] for name, each in named.items()} == LOCKED
    for each in named.values():
        assert each["purl"].startswith("pkg:pypi/")
        hashes = [hashed for reference in each["externalReferences"] for hashed in reference.get("hashes", [])]
        assert {hashed["alg"] for hashed in hashes} == {"SHA-256"}
