#!/usr/bin/env python3
"""Makes generation.json: the SHA-256 of what Jinja2 renders for the oracle's templates that use the generation tag, with an
extension for that tag that does what Hugging Face's does: the body is a call block, its text is printed.

    python3 generation.py ORACLE_DIR > generation.json      (needs Jinja2; made with 3.1.6)
"""
import datetime, glob, hashlib, json, os, sys
from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment(now):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda fmt: datetime.datetime.fromisoformat(now).strftime(fmt)
    return env


if __name__ == "__main__":
    out = {}
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.json"))):
        d = json.load(open(path, encoding="utf-8"))
        for c in d["cases"]:
            if "unknown tag 'generation'" in c.get("error", ""):
                text = environment(d["now"]).from_string(d["template"]).render(**c["input"])
                name = os.path.basename(path)[:-5] + "/" + c["case"]
                out[name] = hashlib.sha256(text.encode()).hexdigest()
    print(json.dumps(out, indent=1))
