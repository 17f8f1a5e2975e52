"""Texts that break exports: each is legal in PostgreSQL and must come out of an export unchanged."""

ZWJ = "\u200d"

NASTY: dict[str, str] = {
    "double quotes": 'she said "no", he said ""',
    "single quotes": "it's o''clock; DROP TABLE suite.file; --'",
    "backslashes": "C:\\temp\\new\\u0041\\ ends with one \\",
    "control characters": "".join(chr(c) for c in range(1, 0x20)) + "\x7f",
    "C1 control characters": "".join(chr(c) for c in range(0x80, 0xA0)),
    "line ends": "unix\nmac\rdos\r\nvertical\vform\fnext\x85line\u2028paragraph\u2029end",
    "tab separated": "a\tb\tc\n\\N\t\\.\t\n\\.\n",
    "looks like a JSON escape": "\\u0000 \\u001f \\n \\\\u0000 \\ud83d\\ude00 \\x00",
    "looks like JSON": '{"id": null, "text": "}\\"]", "n": 1e999}\n{"next": "line"}',
    "looks like CSV": '"a","b ""c""",\x01\x02,;\r\n=HYPERLINK("https://example.com")',
    "markup": "<script>alert('x')</script> & &amp; &#0; ]]> <![CDATA[ <!-- -->",
    "four bytes": "😀💩🦊𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎𠜱𠝹 \U0010fffd",
    "joined emoji": f"👨{ZWJ}👩{ZWJ}👧{ZWJ}👦 🏳️{ZWJ}🌈 👩🏽{ZWJ}🚀 🧑🏿{ZWJ}🤝{ZWJ}🧑🏻 🇺🇳 1️⃣ ❤️{ZWJ}🔥",
    "combining marks": "Z̸͖̋a̷͔͝l̴̮̈g̵̱̑o̶̤͗ e\u0301 \u00e9 n\u0303 क्षि ᄒ\u1161\u11ab",
    "directions": "\u202eright to left\u202c \u200f١٢٣\u200e \u2066abc\u2069 שלום",
    "invisible": "\ufeffmark\u200b\u2060\u00ad\u00a0\u3000space ",
    "noncharacters": "\ufffe\uffff\ufdd0 \ufffd \ue000",
    "placeholders": "%s %n {} {0} ${jndi:ldap://x} $1 :name ? \\x41 %00 ../../etc/passwd",
    "blanks": " \t \n ",
    "no line end at all": "x" * 9_000,
    "one byte below a power": "é" * 4_095 + "a",
}
"""Texts by class; every sample of 2,000 or more interactions has rows of each class."""

NASTY_ATTRIBUTES: dict[str, str] = {
    "empty object": "{}",
    "many digits": '{"n": 123456789012345678901234567890.123456789012345678901234567890, "max": 18446744073709551616,'
    ' "small": -0.000000000000000000000000000001, "zeros": 1.100, "exponent": 1E+25, "minus": -0}',
    "unicode keys": '{"ключ": "значение", "鍵": "値", "🔑": "🚪", "with \\"quotes\\"": 1, "back\\\\slash": 2,'
    ' "": "empty key", "line\\nend": 3, "مفتاح": null}',
    "escaped characters": r'{"a": "\u0041\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\",'
    r' "looks": "\\u0000", "low": "\u0001\u001f\u007f"}',
    "deep": '{"a":' * 60 + "[[[[[1]]]]]" + "}" * 60,
    "all kinds": '{"t": true, "f": false, "null": null, "list": [1, "2", [3.0], {"four": 4}], "empty": [{}, [], ""]}',
    "repeated keys": '{"k": 1, "k": 2, "a": 0}',
    "keys of the export": '{"id": "not this", "tenantId": 999, "allAttributes": {"id": 1}}',
    "many keys": "{" + ", ".join(f'"key_{n}": "{n * 7919}"' for n in range(300)) + "}",
}
"""JSON objects for `all_attributes`, by class."""
