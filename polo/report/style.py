"""Looks and the one script of the report: colours of both themes, and tables that sort. No network, no font files."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1d22;--dim:#5a606b;--line:#d9dce2;--card:#f6f7f9;--ok:#1a7f37;
--warn:#8a5a00;--fail:#c1121f;--c0:#1f5fbf;--c1:#c2410c;--c2:#0f766e;--c3:#7c3aed}
@media(prefers-color-scheme:dark){:root{--bg:#14161a;--fg:#e7e9ee;--dim:#a2a9b6;--line:#343943;--card:#1d2026;
--ok:#56d364;--warn:#e3b341;--fail:#ff7b72;--c0:#79b0ff;--c1:#ff9f6b;--c2:#4fd1c5;--c3:#c4a7ff}}
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:1rem 1rem 4rem;background:var(--bg);color:var(--fg);
font:16px/1.5 system-ui,sans-serif}h1{font-size:1.6rem;margin:.5rem 0 0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
h3{font-size:1rem;margin:1.2rem 0 .4rem}p{margin:.4rem 0}.dim{color:var(--dim)}a{color:var(--c0)}
:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
.scroll{overflow-x:auto;background:linear-gradient(to left,var(--bg) 50%,transparent) right/3rem 100% no-repeat local,
linear-gradient(to left,var(--line),transparent) right/1rem 100% no-repeat scroll}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:.35rem .6rem;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
thead th{white-space:normal;vertical-align:bottom}tr>th:first-child{position:sticky;left:0;background:var(--bg)}
td.n,th.n{text-align:right}tr.model td,tr.model th{font-weight:650}tbody th{font-weight:inherit}
th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid var(--c0)}
th[aria-sort=ascending] button::after{content:" \\2191"}th[aria-sort=descending] button::after{content:" \\2193"}
td small{color:var(--dim);display:block;white-space:pre;font-weight:400}
.ok{color:var(--ok)}.warn{color:var(--warn)}.fail{color:var(--fail)}
.verdict{display:inline-block;min-width:3.2rem;font-weight:700}.audits{list-style:none;margin:0;padding:0}
.audits li{padding:.5rem .8rem;margin:.4rem 0;background:var(--card);border-left:4px solid currentColor;
border-radius:4px}
.audits li span.text,.audits li em{color:var(--fg)}.audits em{display:block;font-style:normal}
.taint{border:1px solid currentColor;border-radius:4px;padding:.5rem .8rem;margin:.6rem 0;font-weight:600}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(26rem,100%),1fr));gap:1rem}
figure{margin:0;padding:.7rem;background:var(--card);border-radius:6px}figcaption{font-weight:600;font-size:.92rem}
svg{width:100%;height:auto;display:block}svg text{fill:var(--dim);font-size:11px}
.band0{fill:var(--c0);opacity:.18}.grid{stroke:var(--line);stroke-width:1}
polyline{fill:none;stroke-width:2}.line0{stroke:var(--c0)}.line1{stroke:var(--c1)}.line2{stroke:var(--c2)}
.line3{stroke:var(--c3)}.fill0{fill:var(--c0)}.fill1{fill:var(--c1)}.fill2{fill:var(--c2)}.fill3{fill:var(--c3)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem}.legend .key{display:inline-block;width:18px;
height:10px;margin-right:.35rem;stroke-width:2}.example{background:var(--card);border-radius:6px;padding:.7rem .9rem;
margin:.6rem 0}.example ol{margin:.4rem 0;padding-left:1.6rem;columns:18rem}.example li.truth{font-weight:700;
color:var(--ok)}pre{background:var(--card);padding:.7rem;border-radius:6px;overflow-x:auto;font-size:.85rem}
summary{cursor:pointer;font-weight:600;padding:.3rem 0}dl{display:grid;grid-template-columns:max-content 1fr;
gap:.2rem 1rem;margin:0;font-size:.92rem}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem}@media(max-width:34rem){dl{grid-template-columns:1fr}
dt{margin-top:.3rem}body{padding:.6rem .6rem 3rem}}
"""

#: click or Enter on a head sorts its table; numbers by value (data-v), words by alphabet
SCRIPT = """
document.querySelectorAll('table.sortable').forEach(table=>{
 const heads=[...table.tHead.rows[0].cells],body=table.tBodies[0];
 heads.forEach((head,column)=>{const button=head.querySelector('button');if(!button)return;
  button.addEventListener('click',()=>{
   const down=head.getAttribute('aria-sort')!=='descending';
   heads.forEach(other=>other.removeAttribute('aria-sort'));
   head.setAttribute('aria-sort',down?'descending':'ascending');
   const value=row=>{const cell=row.cells[column],v=cell.dataset.v;return v===undefined?cell.textContent:+v};
   const compare=(a,b)=>{const x=value(a),y=value(b);
    return typeof x==='number'&&typeof y==='number'?x-y:String(x).localeCompare(String(y))};
   [...body.rows].sort((a,b)=>down?compare(b,a):compare(a,b)).forEach(row=>body.append(row));
  })})});
"""
