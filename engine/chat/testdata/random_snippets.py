#!/usr/bin/env python3
"""Makes random_snippets.json: random templates over the variables of snippets.py with what Jinja2 renders for them, in the form
of snippets.json.

    python3 random_snippets.py > random_snippets.json      (needs Jinja2; made with 3.1.6)

Left out of the grammar is what engine/chat documents as different: lazy filters on what cannot be iterated, slices of constants
(which Jinja2's optimiser turns into undefined), Markup, integers over 64 bits.
"""
import json, random
from generation import environment
from snippets import VARS

SEED, COUNT, LONGEST = 20260102, 1500, 160
R = random.Random(SEED)
NAMES = "n neg f t nil s empty uni ws xs words nested d lines people messages missing i".split()
LISTS = "xs words nested people messages range(4) (1,2) [] [2,'a']".split()
LITERALS = ["0", "1", "2", "-1", "3.5", "0.5", "true", "none", '""', '"a"', "'b,c'", "'  x '", "'<&>'", "[]", "[1,2]", "(1,2)", "{}",
            "{'a':1}", '"%s-%s"', '"{}"', "100", "range(4)", '"é"', "'ab ab'"]
FILTERS = ["abs", "capitalize", "center(7)", "count", 'default("D")', 'default("D",true)', "dictsort", "first", "float", "int", "indent(2)",
           'join(",")', "join", "last", "length", "list", "lower", "max", "min", 'replace("a","Z")', "round", "round(1)", "string", "sum",
           "title", "tojson", "tojson(indent=2)", "trim", "truncate(5)", "upper", "wordcount", "format(1)", "int(5)", "float(2.5)", 'trim("a")',
           "tojson(ensure_ascii=true)", 'round(method="ceil")', "list|length", "sort", "sort(reverse=true)", 'dictsort(by="value")',
           'replace("","-")', "truncate(8,true)", "indent(3,true,true)"]
LAZY = ["batch(2)", 'map("string")', 'map("upper")', 'map(attribute="name")', "reverse", "select", 'select("string")', 'select("defined")',
        'reject("none")', 'selectattr("age","defined")', 'rejectattr("age")', "slice(2)", "unique", 'map("default","x")', 'reject("in",[1,2])']
TESTS = ["defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "integer", "float", "boolean", "true", "false",
         "odd", "even", "divisibleby 2", "eq 1", "in [1,2]", "upper", "lower", "callable", "gt 1", "not none", "not string"]
METHODS = ["upper()", "lower()", "strip()", "lstrip()", 'rstrip("a")', "split()", 'split(",")', 'split("a",1)', 'rsplit(" ",1)', "rsplit(none,1)",
           "split(none,1)", "splitlines()", "title()", "capitalize()", 'startswith("a")', 'endswith(("a","x"))', 'find("a")', 'rfind("a")',
           'count("a")', 'replace("a","bb")', 'replace("a","b",1)', "join(words)", "zfill(5)", "center(6)", 'center(7,"*")', "ljust(5)",
           "rjust(5)", "isdigit()", "isalpha()", "isalnum()", "isspace()", "islower()", "isupper()", 'partition("a")', 'rpartition("l")',
           'removeprefix("a")', "format(1,2)", "items()", "keys()", "values()", 'get("a")', 'get("zz",1)', "index(1)", "count(1)", "append(1)",
           "isascii()", 'find("l",3)', 'startswith("e",1)', 'count("l",2,9)', 'index("l")']
OPERATORS = "+ - * / // % ~ == != < > <= >= in and or".split() + ["not in"]
SLICES = ["0", "-1", "1:", "::-1", ":2", "::2", "-2:", "1:-1", "5:1:-2", "none:2"]


def expr(d):
    k = R.random()
    if d <= 0 or k < 0.25:
        return R.choice(NAMES if R.random() < 0.6 else LITERALS)
    if k < 0.43:
        return f"{expr(d - 1)}|{R.choice(FILTERS)}" if R.random() < 0.6 else f"({expr(d - 1)})|{R.choice(FILTERS)}"
    if k < 0.50:
        return f"{R.choice(LISTS)}|{R.choice(LAZY)}|list"
    if k < 0.60:
        return f"({expr(d - 1)}).{R.choice(METHODS)}"
    if k < 0.77:
        return f"{expr(d - 1)} {R.choice(OPERATORS)} {expr(d - 1)}"
    if k < 0.82:
        return f"({expr(d - 1)} is {R.choice(TESTS)})"
    if k < 0.89:
        return f"{R.choice(['s', 'uni', 'xs', 'words', 'nested', 'lines', 'people'])}[{R.choice(SLICES)}]"
    if k < 0.92:
        return f"({expr(d - 1)} if {expr(d - 1)} else {expr(d - 1)})"
    if k < 0.95:
        return f"[{expr(d - 1)}, {expr(d - 1)}]"
    if k < 0.97:
        return f"(not {expr(d - 1)})"
    return f"({expr(d - 1)}).{R.choice(['name', 'a', 'items', 'b', '0', 'x', 'role'])}"


def template():
    k = R.random()
    if k < 0.75:
        return "{{ " + expr(R.randint(1, 4)) + " }}"
    if k < 0.9:
        return "{% for i in " + expr(2) + " %}{{ " + expr(2) + " }}{{ loop.last }},{% else %}E{% endfor %}{{ i is defined }}"
    return "{% if " + expr(2) + " %} {% set i = " + expr(2) + " %}\n{{ i }}{%- else -%}\n n {% endif %}\n{{ i }}"


if __name__ == "__main__":
    env = environment("2026-01-02T03:04:05")
    out = {}
    while len(out) < COUNT:
        src = template()
        try:
            text = env.from_string(src).render(**json.loads(json.dumps(VARS)))
            if len(text) <= LONGEST and " at 0x" not in text:
                out[src] = {"src": src, "out": text}
        except Exception as err:
            if R.random() < 0.3:
                out[src] = {"src": src, "error": type(err).__name__}
    print(json.dumps({"now": "2026-01-02T03:04:05", "vars": VARS, "snippets": list(out.values())}, indent=0, ensure_ascii=False))
