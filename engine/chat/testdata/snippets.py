#!/usr/bin/env python3
"""Makes snippets.json: small templates with what Jinja2 renders for them in the environment of generation.py.

    python3 snippets.py > snippets.json      (needs Jinja2; made with 3.1.6)

Each entry is {"src", "out"} or {"src", "error": name of the exception}; the variables are the same for all.
"""
import json
from generation import environment

VARS = {
    "n": 3, "neg": -7, "f": 2.5, "big": 12345678901234567890, "t": True, "nil": None, "s": "Hello, World", "empty": "",
    "uni": "Łódź 🦙 straße", "ws": "  a b\t c \n", "xs": [3, 1, 2], "words": ["b", "A", "c", "a"], "nested": [[1, 2], [3, 4]],
    "d": {"b": 2, "a": 1, "items": 5, "get": 6, "C": 0}, "lines": "one\ntwo\n\nfour",
    "people": [{"name": "Bo", "age": 3, "tag": "x"}, {"name": "al", "age": 1}, {"name": "Cy", "age": 2, "tag": "y"}],
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
    "tool": {"name": "f", "parameters": {"type": "object", "properties": {"é": {"enum": [1, 2.0, None, True, "a\"<&'\n\x01"]}}}},
    "html": "<a href='x'>&\"</a>", "messages": [{"role": "user", "content": " hi "}, {"role": "assistant", "content": "yo"}],
}

SNIPPETS = r'''
plain
{{ 1 }} {{ 1.0 }} {{ 1e100 }} {{ 1e16 }} {{ 123456789012345.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ -0.0 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }}
{{ true }} {{ False }} {{ none }} {{ None }} {{ nil }} {{ t }}
{{ missing }}|
{{ missing.x is defined }}
{{ missing is defined }} {{ missing is undefined }} {{ nil is defined }} {{ d.zzz is defined }}
{{ d.zzz.y }}
{{ nil.x is defined }} {{ nil.x }}|
{{ nil.x.y }}
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }}
{{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ 1 / 3 }} {{ 0.1 + 0.2 }} {{ 6.0 // 0.1 }} {{ 5 % 3.5 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ 1.0 // 0 }}
{{ -n ** 2 }} {{ - -3 }} {{ +n }} {{ -true }} {{ -f|abs }} {{ (-3)|abs }} {{ -3|abs }}
{{ 'a' + 'b' }} {{ 'a' ~ 1 ~ none ~ 2.0 ~ true ~ missing ~ [1] }} {{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ 'ab' * 0 }} {{ 'ab' * -1 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ missing + 1 }}
{{ 'a' + missing }}
{{ 'a' + none }}
{{ [1] + [2] }} {{ (1,) + (2,) }} {{ [0] * 3 }} {{ 2 * (1,) }}
{{ [1] + (2,) }}
{{ 'a' - 'b' }}
{{ true + true }} {{ true * 3 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ none == false }} {{ [] == () }} {{ [1, 2] == [1, 2] }}
{{ 1 < 2 < 3 }} {{ 3 > 2 > 2 }} {{ 1 < 2 == true }} {{ 'a' < 'b' }} {{ 'Z' < 'a' }} {{ [1, 2] < [1, 3] }} {{ (1,) < (1, 2) }} {{ 1 <= 1.0 }}
{{ 1 < 'a' }}
{{ missing < 1 }}
{{ none < 1 }}
{{ missing == missing2 }} {{ missing == none }} {{ missing != 'a' }}
{{ 1 in xs }} {{ 9 not in xs }} {{ 'World' in s }} {{ 'x' in s }} {{ 'a' in d }} {{ 'zz' in d }} {{ '' in s }} {{ not 1 in xs }} {{ 2 in (1, 2) }} {{ 2 in range(3) }} {{ 1.0 in range(3) }}
{{ 1 in s }}
{{ 'a' in none }}
{{ 'a' in missing }} {{ missing in xs }}
{{ missing in s }}
{{ [1] in d }}
{{ 1 and 2 }} {{ 0 and 2 }} {{ 0 or 'x' }} {{ '' or none or [] }} {{ not '' }} {{ not not 5 }} {{ 1 or missing.x }} {{ [] and 1 }}
{{ 'y' if t else 'n' }} {{ 'y' if not t else 'n' }} {{ 'y' if false }}| {{ 'a' if false else 'b' if false else 'c' }} {{ 1 if 0 if 1 else 2 }}
{{ s[0] }} {{ s[-1] }} {{ s[99] }}| {{ s[1:4] }} {{ s[:-2] }} {{ s[::-1] }} {{ s[::2] }} {{ s[-3:] }} {{ s[5:2] }}| {{ s[8:2:-2] }} {{ s[-100:100] }}
{{ uni[0] }} {{ uni[5] }} {{ uni[-6:] }} {{ uni[::-1] }} {{ uni|length }} {{ uni[4:6] }} {{ uni.find('s') }} {{ uni.upper() }}
{{ xs[0] }} {{ xs[-1] }} {{ xs[5] }}| {{ xs[::-1] }} {{ xs[1:] }} {{ xs[:1] }} {{ xs[none:2] }} {{ xs[true] }} {{ xs[-2:-1] }} {{ xs['a'] }}| {{ xs[1.0] }}|
{{ xs[::0] }}
{{ xs['a':] }}
{{ missing[0] }}
{{ d.b }} {{ d['b'] }} {{ d.items }}
{{ d['items'] }} {{ d['get'] }} {{ d['keys']()|list }} {{ d.get('zz') }} {{ d.get('zz', 4) }} {{ d.get('a') }} {{ d.get(missing, 'x') }}
{{ d.items()|list }} {{ d.keys()|list }} {{ d.values()|list }} {{ d|items|list }} {{ d|list }} {{ d|length }}
{{ d.items() }} {{ d.keys() }} {{ d.values() }}
{{ d.items()[0] }}|{{ d.items()|first }} {{ d.items()|last }} {{ d.items()|length }}
{{ xs.0 }} {{ nested.1.0 }} {{ nested[1][0] }} {{ people[0].name }} {{ people.0['name'] }}
{{ 'abc'.upper() }} {{ 'abc'['upper']() }} {{ s.lower().title() }} {{ 'a,b'.split(',')[1] }} {{ "x".join(['a', 'b']) }}
{{ 'abc'.nothing }}|
{{ 'abc'.nothing() }}
{{ xs.append(4) }}
{{ xs.append }}|{{ d.update }}|{{ xs.append is defined }}
{{ d.pop('a') }}
{{ ''.__class__ }}|{{ ''.__class__ is defined }}
{{ ''.__class__.__mro__ }}
{{ ws.strip() }}|{{ ws.lstrip() }}|{{ ws.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'xyaxy'.lstrip('xy') }}|{{ ws|trim }}|{{ 'xxa'|trim('x') }}
{{ ws.split() }} {{ 'a  b'.split(' ') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a b  c '.split(none, 1) }} {{ ''.split() }} {{ ''.split(',') }}
{{ 'abc'.split('') }}
{{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ ' a b c '.rsplit() }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }}
{{ 'a\nb\r\nc\n'.splitlines() }} {{ 'a\nb\r\nc'.splitlines(true) }} {{ lines.splitlines()|length }}
{{ s.startswith('Hello') }} {{ s.endswith(('x', 'ld')) }} {{ s.startswith('World', 7) }} {{ s.startswith('Hello', 0, 3) }} {{ s.startswith('') }}
{{ s.replace('l', 'L') }} {{ s.replace('l', 'L', 1) }} {{ s|replace('o', '0') }} {{ s|replace('o', '0', 1) }} {{ 'ab'.replace('', '-') }}
{{ s.find('o') }} {{ s.find('o', 5) }} {{ s.rfind('o') }} {{ s.find('zz') }} {{ s.index('W') }} {{ s.count('l') }} {{ s.count('l', 4) }}
{{ s.index('zz') }}
{{ 'hELLO wORLD'.capitalize() }} {{ 'hello world'.title() }} {{ "it's a dog's".title() }} {{ 'aBc'.swapcase() }} {{ 'ß'.upper() }} {{ 'ABC'.casefold() }}
{{ "it's a-b (c) dog"|title }} {{ 'hELLO'|capitalize }} {{ 'x'|upper }} {{ 'X'|lower }} {{ 5|upper }}
{{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'a'.center(4) }}|{{ 'ab'.center(5, '*') }} {{ 'abc'.center(6, '*') }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3, '.') }} {{ 'ab'|center(7) }}|
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'abc'.islower() }} {{ 'ABC1'.isupper() }} {{ ''.isalpha() }} {{ '1'.islower() }}
{{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'abc'.removeprefix('x') }} {{ 'abc'.isascii() }} {{ uni.isascii() }}
{{ [1, 'a', "it's", 'q"', none, true, 1.5, [2], (3,), {'k': 'v'}, ()] }}
{{ ['a\nb\t\\', 'é', '\x01', '\u200b', "both'\""] }} {{ 'a\qb' }} {{ '\x41\u0042\103' }}
{{ {'a': 1, 2: 'b', none: 3, true: 4} }} {{ {1: 'x', true: 'y', 1.0: 'z'} }} {{ {}|length }} {{ {'a': 1}['a'] }}
{{ {[1]: 2} }}
{{ (1, 2) }} {{ (1,) }} {{ () }} {{ 1, 2 }}
{{ 'con' 'cat' "ed" }}
{{ "%s is %d, %5.2f|%-5s|%05d|%x|%%|%r" % ('a', 3, 2.5, 'b', 42, 255, 'q') }} {{ '%s' % 'x' }} {{ '%(a)s' % d }} {{ "%s"|format('z') }} {{ "%(k)s"|format(k=1) }} {{ '%+d %e %g %s' % (5, 12345.678, 0.00001234, none) }}
{{ '%d' % 'a' }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '{} {} {}'.format(1, 'b', none) }} {{ '{1} {0} {x}'.format(1, 2, x=3) }} {{ '{0.name} {0[name]}'.format(people[0]) }} {{ '{{}} {:>5}|{:<5}|{:^5}|{:*^7}|{:05d}|{:.2f}|{:,}|{:x}|{!r}'.format('a', 'b', 'c', 'd', 42, 3.14159, 1234567, 255, 'q') }}
{{ '{} {}'.format(1) }}
{{ '{:d}'.format('a') }}
{{ xs|first }} {{ xs|last }} {{ ''|first }}| {{ []|last }}| {{ 'abc'|first }} {{ 'abc'|last }} {{ range(5)|last }} {{ uni|last }}
{{ xs|length }} {{ s|count }} {{ range(7)|length }} {{ missing|length }}
{{ 5|length }}
{{ none|length }}
{{ xs|sort }} {{ xs|sort(reverse=true) }} {{ words|sort }} {{ words|sort(case_sensitive=true) }} {{ people|sort(attribute='age')|map(attribute='name')|list }} {{ people|sort(attribute='name')|map(attribute='age')|join }}
{{ [1, 'a']|sort }}
{{ d|dictsort }} {{ d|dictsort(true) }} {{ d|dictsort(by='value') }} {{ d|dictsort(reverse=true) }} {{ d|dictsort(false, 'value', true) }}
{{ xs|join }} {{ xs|join(', ') }} {{ people|join('-', attribute='name') }} {{ d|join('/') }} {{ 'abc'|join('.') }} {{ [1, none, missing]|join('|') }}
{{ people|map(attribute='name')|list }} {{ people|map(attribute='tag', default='?')|list }} {{ words|map('upper')|join }} {{ people|map('length')|list }} {{ nested|map('first')|list }} {{ nested|map(attribute=1)|list }} {{ nested|map(attribute='1')|list }}
{{ people|selectattr('tag')|map(attribute='name')|list }} {{ people|selectattr('age', 'gt', 1)|list|length }} {{ people|rejectattr('tag', 'defined')|map(attribute='name')|list }} {{ people|selectattr('name', 'equalto', 'Bo')|list }} {{ people|selectattr('name', 'in', ['Bo', 'Cy'])|map(attribute='age')|sum }}
{{ xs|select('odd')|list }} {{ xs|reject('odd')|list }} {{ [0, 1, '', 'a']|select|list }} {{ xs|select('>', 1)|list }} {{ [0, 1]|reject|list }}
{{ xs|select('odd')|length }}
{% set g = xs|select('odd') %}{{ g|list }}{{ g|list }}
{{ xs|sum }} {{ people|sum(attribute='age') }} {{ []|sum }} {{ [1.5, 2]|sum(start=1) }}
{{ xs|min }} {{ xs|max }} {{ words|max }} {{ []|max }}| {{ people|max(attribute='age') }} {{ [2, 10]|min }}
{{ [1, 1, 2, 'a', 'A']|unique|list }} {{ words|unique(true)|list }} {{ people|unique(attribute='age')|list|length }}
{{ xs|reverse|list }} {{ 'abc'|reverse }} {{ 'abc'|list }} {{ (1, 2)|list }} {{ range(3)|list }} {{ missing|list }}
{{ none|list }}
{{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 'x')|list }} {{ [1, 2, 3, 4, 5]|slice(2)|list }} {{ [1, 2, 3]|slice(2, 'x')|list }}
{% for g in people|groupby('age') %}{{ g.grouper }}:{{ g.list|length }}:{{ g[0] }} {% endfor %}{% for k, v in people|groupby('tag', default='-') %}{{ k }}={{ v|map(attribute='name')|join(',') }};{% endfor %}
{{ missing|default('x') }} {{ ''|default('x') }}| {{ ''|default('x', true) }} {{ none|default('x') }} {{ none|d('x', boolean=true) }} {{ 0|d(5, true) }} {{ missing|d }}|
{{ '3'|int }} {{ '3.9'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ 3.9|int }} {{ -3.9|int }} {{ true|int }} {{ 'ff'|int(0, 16) }} {{ '0x1f'|int(base=16) }} {{ ' 12 '|int }} {{ none|int }} {{ '1_0'|int }}
{{ '3.5'|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ 2|float }} {{ '1e3'|float }} {{ 'inf'|float }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.567|round(2) }} {{ 2.1|round(0, 'ceil') }} {{ 2.9|round(method='floor') }} {{ 5|round }} {{ -2.5|round }} {{ 2.675|round(2) }} {{ 1234.5|round(-2) }}
{{ html|e }} {{ html|escape }} {{ html|safe }} {{ html }} {{ 5|string }} {{ none|string }} {{ [1]|string|length }}
{{ lines|indent }}|{{ lines|indent(2) }}|{{ lines|indent(2, true) }}|{{ lines|indent(2, true, true) }}|{{ lines|indent('> ') }}
{{ 'a b c'|wordcount }} {{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(9, false, '..', 0) }}
{{ d|attr('b') }}|{{ 'x'|attr('upper') is callable }}
{{ tool|tojson }}
{{ tool|tojson(indent=2) }}
{{ tool|tojson(indent=4, ensure_ascii=true) }}
{{ tool|tojson(separators=(',', ':')) }} {{ tool|tojson(sort_keys=true) }} {{ {'b': [], 'a': {}}|tojson(indent=1, sort_keys=true) }}
{{ [1, 1.0, 1e20, 1e-7, 0.1, true, none, 'x', (1, 2), {1: 2, none: 3, true: 4, 1.5: 5}]|tojson }} {{ uni|tojson }} {{ uni|tojson(ensure_ascii=true) }} {{ '</script>\x7f'|tojson }} {{ big|tojson }} {{ big }}
{{ missing|tojson }}
{{ d.items()|tojson }}
{{ range(2)|tojson }}
{{ 1 is number }} {{ 1.0 is number }} {{ true is number }} {{ 'a' is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ 1 is boolean }}
{{ s is string }} {{ s is iterable }} {{ s is sequence }} {{ s is mapping }} {{ d is mapping }} {{ d is iterable }} {{ d is sequence }} {{ xs is sequence }} {{ xs is mapping }} {{ 5 is iterable }} {{ none is iterable }} {{ missing is iterable }} {{ missing is sequence }} {{ range(2) is sequence }} {{ d.items() is sequence }} {{ d.items() is iterable }} {{ xs|map('string') is iterable }} {{ xs|map('string') is sequence }}
{{ nil is none }} {{ missing is none }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }} {{ 'a' is not none }} {{ not nil is none }}
{{ 4 is even }} {{ 4 is odd }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 3 is eq 3 }} {{ 3 is ne(3) }} {{ 3 is gt 2 }} {{ 3 is lessthan 2 }} {{ 3 is in [3] }} {{ 3 is not in [3] }} {{ 'a' is lower }} {{ 'A' is upper }} {{ 'a' is sameas 'b' }} {{ none is sameas none }}
{{ range is callable }} {{ s is callable }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ s is defined and s is string }} {{ s is escaped }}
{{ s is string if t else 0 }}
{{ x is nosuchtest }}
{{ x|nosuchfilter }}
{% if false %}{{ x|nosuchfilter }}{% endif %}ok
{% if true %}{{ x|nosuchfilter }}{% endif %}ok
{{ x|nosuchfilter if false else 'ok' }}
{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for x in xs %}{{ loop.previtem|default('-') }}<{{ x }}>{{ loop.nextitem|default('-') }} {{ loop.cycle('a', 'b') }} {% endfor %}
{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}{{ loop is defined }}
{% for x in [] %}x{% else %}none{% endfor %} {% for x in missing %}x{% else %}none{% endfor %} {% for x in xs %}{{ x }}{% else %}none{% endfor %}
{% for x in xs if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ loop.last }} {% else %}none{% endfor %}{% for x in xs if x > 9 %}x{% else %}none{% endfor %}
{% set ns = namespace(stop=false) %}{% for x in [1, 2, 3, 4] if not ns.stop %}{{ x }}{% if x == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }} {% endfor %}{% for a, b in nested %}{{ a + b }} {% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in xs %}{{ a }}{% endfor %}
{% for c in uni %}{{ c }}.{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for i in range(3) %}{{ i }}{% endfor %} {% for i in range(5, 0, -2) %}{{ i }}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in xs %}{% if loop.first %}{% continue %}{% endif %}{{ x }}{% if x == 1 %}{% break %}{% endif %}{% endfor %} {% for x in xs %}{% for y in xs %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}{{ x }}{% endfor %}
{% break %}
{% for n in tree recursive %}{{ n.v }}@{{ loop.depth }}[{{ loop(n.kids) }}]{% endfor %}
{% for x in xs %}{{ loop(x) }}{% endfor %}
{% set x = 1 %}{% for i in xs %}{% set x = i %}{{ x }}{% endfor %}{{ x }}
{% for i in xs %}{{ q is defined }}{% set q = i %}{% endfor %}{{ q is defined }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% set ns = namespace(a=1, b='x') %}{% for i in xs %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}{% set ns.c = [1] %}{{ ns.c }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}|{{ ns }}
{% set d.x = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, e) = (3, 4) %}{{ c }}{{ e }}{% set t2 = 5, 6 %}{{ t2 }}
{% set a, b = 1, 2, 3 %}
{% set x %}a{{ n }}b{% endset %}{{ x }}{{ x|length }}{% set y | upper | trim %} abc {% endset %}{{ y }}
{% set x = 'q' %}{% set x %}{{ x }}{% set z = 1 %}{% endset %}{{ x }}{{ z is defined }}
{% with a=1, b=n %}{{ a }}{{ b }}{% set c = 2 %}{% endwith %}{{ a is defined }}{{ c is defined }}{% with %}x{% endwith %}
{% filter upper|replace('A', 'z') %}abc{{ n }}{% endfilter %}
{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=5) }}{{ m() }}{{ m(b=1, a=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(z=2) }}
{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, z=4) }}{{ m.name }}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.catch_varargs }}{{ m.caller }}
{% macro m(a, b=a * 2) %}{{ a }}{{ b }}{% endmacro %}{{ m(3) }}{{ m(*[1, 2]) }}{{ m(**{'b': 7, 'a': 8}) }}
{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(4) }}
{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}{% set x = 2 %}{{ m() }}
{% macro outer() %}{% macro inner(a) %}<{{ a }}>{% endmacro %}{{ inner(1) }}{% endmacro %}{{ outer() }}{{ inner is defined }}
{% macro m(a) %}{{ caller(a, 2) }}!{% endmacro %}{% call(x, y) m(1) %}{{ x }}-{{ y }}-{{ n }}{% endcall %}
{% macro m() %}({{ caller() }}){% endmacro %}{% for i in xs %}{% call m() %}{{ i }}{{ loop.index }}{% endcall %}{% endfor %}
{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% for i in xs %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}
{{ m() }}{% macro m() %}{% endmacro %}
{% macro m() %} a {% endmacro %}{{ m()|trim|length }}{{ m() ~ 'x' }}{{ m() == ' a ' }}
{{ raise_exception('no ' ~ s) }}
{{ strftime_now('%Y-%m-%d %d %b %B %H:%M:%S %j %y %A %a %I %p %%') }} {{ strftime_now('%-d %e %F %T %D') }}
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {{ dict([(1, 2)]) }} {{ range(2, 5)|list }} {{ range(10)[2:4]|list }} {{ range(3) }} {{ range(5)[-1] }}
{{ range(100001) }}
{% raw %}{{ x }}{% if %}{% endraw %}|{%- raw -%} a {%- endraw -%} |
{# comment #}a{#- c -#} b
<|im_start|>{{ '<|im_end|>\n' }}{{ "}}" }}{{ '%}' }}{{ {'a': {'b': 1}}.a.b }}{{ {'a':{'b':2}}['a']['b']}}
{% if n == 3 and xs and not nil %}a{% elif n %}b{% else %}c{% endif %}{% if '' %}a{% elif 0 %}b{% else %}c{% endif %}
{% if (messages[0].role == 'user') != (0 % 2 == 0) %}bad{% endif %}{{ messages[0]['content'] | trim + '!' }}{{ (messages[0].content | trim) ~ '?' }}
{{ messages[-1]['role'] }}{{ messages[:-1]|length }}{{ messages|map(attribute='role')|join(',') }}{{ messages|selectattr('role', 'eq', 'user')|list|length }}
{% set loop_messages = messages[1:] if messages[0].role == 'user' else messages %}{{ loop_messages|length }}
{{ '<think>a</think>b'.split('</think>')[-1].lstrip('\n') }}{{ 'x</think>y'.split('</think>')|first }}
{% generation %}{{ n }}{% set gg = 1 %}{% endgeneration %}{{ gg is defined }}
{% for x in xs %}{% generation %}{{ x }}{% endgeneration %}{% endfor %}
{{ [missing] }}{{ {'a': missing} }}
{{ s.x.y }}
{{ 1e400 }} {{ 1e308 * 10 }} {{ 2.0 ** 3 }} {{ 5.0|int }} {{ 1e22 }} {{ 1.5e-9 }}
{{ '%.3g %g %G %#x %o %c %c %i %F %5s%%' % (1234.5, 0.0001, 1e-10, 255, 8, 65, 'z', 3.9, 1.5, 'é') }}
{{ '{:>+6d}|{:e}|{:g}|{:%}|{:_}|{:b}|{:#x}|{:06.2f}|{:<06d}|{:s}|{:.2}|{:10}|{:10}|'.format(5, 1234.5, 1e10, 0.25, 1234567, 5, 255, 3.14159, 42, 'x', 'abc', 1, 'a') }}
{{ xs.index(1) }} {{ xs.count(1) }} {{ (1, 2).index(2) }} {{ xs.copy() }} {{ d.copy() == d }}
{{ xs.index(99) }}
{{ namespace(a=1).a }}{% set ns = namespace() %}{% set ns.x, y = 1, 2 %}{{ ns.x }}{{ y }}
{{ ([1, 2], [3])|sum(start=[]) }} {{ ['b', 'a']|sort|join }} {{ {'x': {'y': [1, {'z': 2}]}}.x.y[1].z }}
{{ 'Ａ'.lower() }} {{ 'Ǆ'.lower() }} {{ 'ŁÓDŹ'.lower() }} {{ 'x\u2028y z'.split() }} {{ '\x1c a \xa0'.strip() }}
{{ 5() }}
{{ xs() }}
{{ 'a'.join(xs) }}
{{ 'x' is divisibleby 2 }}
{% include 'x' %}
{% import 'x' as y %}
{% extends 'x' %}
{% unknown %}
{{ 1 +  }}
{{ (1 }}
{{ 1
{% if true %}
{% endif %}
{% for x %}{% endfor %}
{# open
{{ 'open }}
{% raw %}x
{{ a b }}
{% set true = 1 %}
{% macro m(a=1, b) %}{% endmacro %}
{{ f(a=1, 2) }}
{{ x..y }}
{{ ]] }}
{{ xs|join(', ', 1, 2, 3) }}
{{ 'a'.upper(1) }}
{{ xs|sort(nope=1) }}
{{ xs[0:2][::-1] }}{{ (xs|list)[1] }}{{ xs|sort|first }}{{ xs|sort|list|last }}{{ -xs[0] }}{{ not xs }}
{{ 3 if xs[0] is odd else 4 }}{{ xs is defined and xs|length > 2 }}{{ xs|length == 3 }}{{ 1 + xs|length }}
'''


def snippets():
    """The lines above, and some that span lines."""
    multi = [
        "  {% if true %}  \n  x\n  {% endif %}  \ny\n", "  {{ 1 }}  \n  {%- if true -%}\n  a\n  {%- endif -%}\n  b\n",
        "  {%+ if true %}  \n a\n  {%+ endif +%}\nb\n\n", "a {{- 1 -}} b {{ 2 -}}\n  c\n", "{% for x in xs %}\n{{ x }}\n{% endfor %}\nend\n",
        "{% for x in xs -%}\n  {{ x }}\n{%- endfor %}\n", "{%- set a = 1 %}\n  {%- set b = 2 -%}\n  {{ a }}{{ b }}\n",
        "a{# multi\nline #}\n  {# c #}\nb\r\nc\rd\n\n", "\t{% if true %}tab{% endif %}\t\n", "x {%- raw %}\n {{ y }} \n {% endraw %}\nz",
        "{% if true %}\n\n  a\n{% endif %}", "{{ 1 }}\n{{ 2 }}\n\n", "{% set x = 1 -%}\n\n  b", "\n{% if true %}\nx\n{% endif %}\n\n",
        "{{ '\r\n' }}a\r\nb", "{% raw -%}\n a\n{%- endraw %}\nb",
    ]
    return SNIPPETS.strip("\n").split("\n") + multi


if __name__ == "__main__":
    env = environment("2026-01-02T03:04:05")
    out = []
    for src in snippets():
        try:
            out.append({"src": src, "out": env.from_string(src).render(**json.loads(json.dumps(VARS)))})
        except Exception as err:
            out.append({"src": src, "error": type(err).__name__})
    print(json.dumps({"now": "2026-01-02T03:04:05", "vars": VARS, "snippets": out}, indent=1, ensure_ascii=False))
