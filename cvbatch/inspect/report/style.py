"""The style sheet of the page: light, dark, narrow and printed."""

# Colours are those of Okabe and Ito, "Color Universal Design" (2008), which colour-blind people can tell apart.
LIGHT = """
--page:#fff;--panel:#f6f7f8;--ink:#1b2126;--soft:#5b6670;--rule:#d9dee2;--accent:#0072b2;--area:#cfe3f0;
--done:#0072b2;--fill-ground:#bfe0f5;--fill-mark:#0072b2;--part-ground:#e4e8eb;--part-mark:#0072b2;
--left:#e4e8eb;--left-edge:#98a3ac;--fail-ground:#d55e00;--fail-mark:#fff;--bad:#a83e00;--bad-ground:#fdf0e7;
--good:#00634a;--good-ground:#e6f4ef;--note-ground:#eaf3f9;--heat:0,114,178;--hole:#c4cad0;--hole-mark:#aeb6bd;
"""
DARK = """
--page:#14181b;--panel:#1d2327;--ink:#e6eaed;--soft:#9eabb5;--rule:#343d44;--accent:#56b4e9;--area:#1f4258;
--done:#3f9bd3;--fill-ground:#12415c;--fill-mark:#8fd0f5;--part-ground:#2b3338;--part-mark:#3f9bd3;
--left:#2b3338;--left-edge:#65727c;--fail-ground:#e8731a;--fail-mark:#14181b;--bad:#ffa566;--bad-ground:#36200f;
--good:#5fd0ac;--good-ground:#12332a;--note-ground:#16303f;--heat:86,180,233;--hole:#49525a;--hole-mark:#5b656e;
"""
RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main,header,footer{max-width:1000px;margin:0 auto;padding:0 40px}
header{padding-top:40px}
footer{padding-top:24px;padding-bottom:40px;color:var(--soft);font-size:13px}
section{margin-top:44px}
h1{font-size:27px;line-height:1.25;margin:0 0 10px;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h1 code{font-size:.85em;font-weight:500;color:var(--soft)}
h2{font-size:19px;line-height:1.3;margin:0 0 6px;font-weight:650}
h3{font-size:15px;margin:24px 0 4px;font-weight:650}
p{margin:0 0 12px;max-width:72ch}
.soft,figcaption,caption{color:var(--soft)}
code{font:.92em ui-monospace,"SF Mono",Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
.route{display:grid;grid-template-columns:auto 1fr;gap:2px 14px;margin:0 0 18px}
.route dt{color:var(--soft)}.route dd{margin:0;min-width:0}
.badge{display:inline-block;font-size:14px;font-weight:600;padding:3px 11px;border-radius:4px;margin:0 0 16px;
color:var(--accent);background:var(--note-ground);print-color-adjust:exact;-webkit-print-color-adjust:exact}
.badge.finished{color:var(--good);background:var(--good-ground)}
.badge.failed{color:var(--bad);background:var(--bad-ground)}
.progress{display:flex;height:14px;border-radius:3px;overflow:hidden;border:1px solid var(--left-edge)}
.progress svg{height:100%;display:block;min-width:3px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,205px),1fr));gap:22px 28px;margin:22px 0 0}
.facts div{border-top:2px solid var(--rule);padding-top:8px;min-width:0}
.facts dt{color:var(--soft);font-size:13px}
.facts dd{margin:0;overflow-wrap:anywhere}
.facts dd:first-of-type{font-size:21px;line-height:1.3;font-weight:600}
.facts dd+dd{font-size:13px;color:var(--soft)}
.note{background:var(--note-ground);border-left:3px solid var(--accent);padding:8px 14px;margin:12px 0}
.note.bad{background:var(--bad-ground);border-color:var(--fail-ground)}
svg{display:block;max-width:100%}
svg text{font-size:12.5px;fill:var(--ink)}
svg .axis{fill:var(--soft)}
.rule{stroke:var(--rule)}.tick{stroke:var(--soft)}
.area{fill:var(--area)}.line{fill:none;stroke:var(--accent);stroke-width:1.5}
.mean{stroke:var(--ink);stroke-dasharray:4 4}
.bar{fill:var(--accent)}
.narrow{display:none}
.done{fill:var(--done)}.fill{fill:url(#p-fill)}.part{fill:url(#p-part)}.fail{fill:url(#p-fail)}.left{fill:var(--left)}
.fill-ground{fill:var(--fill-ground)}.fill-mark{fill:var(--fill-mark)}
.part-ground{fill:var(--part-ground)}.part-mark{fill:var(--part-mark)}
.fail-ground{fill:var(--fail-ground)}.fail-mark{stroke:var(--fail-mark);stroke-width:1.6;fill:none}
.patterns{position:absolute}
.slab{overflow:visible}
.slabs{display:flex;flex-wrap:wrap;gap:20px 24px;margin:14px 0}
figure{margin:0;min-width:0}
figcaption{font-size:13px;margin-top:6px}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 22px;margin:10px 0 0;padding:0;font-size:13px}
.legend li{display:flex;gap:8px;align-items:center}
.swatch{overflow:visible;flex:none}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,270px),1fr));gap:24px;margin-top:14px}
.pictures h3{margin:0 0 6px}
.canvas{position:relative;
background:var(--hole) repeating-linear-gradient(45deg,var(--hole-mark) 0 2px,transparent 2px 9px);
print-color-adjust:exact;-webkit-print-color-adjust:exact}
.canvas img{display:block;width:100%;height:auto;image-rendering:pixelated}
.canvas .frame{position:absolute;border:2px solid #d55e00;outline:2px solid #fff}
.absent{min-height:180px;display:flex;align-items:center;justify-content:center;padding:24px;text-align:center}
.absent span{background:var(--page);padding:6px 12px;max-width:100%;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin-top:12px}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;font-size:13px;padding-bottom:6px}
th,td{text-align:left;padding:6px 16px 6px 0;border-bottom:1px solid var(--rule);vertical-align:top;font-weight:400;
overflow-wrap:anywhere}
tbody th{overflow-wrap:break-word}
th:last-child,td:last-child{padding-right:0}
table.fit{width:auto}.fit th,.fit td{padding-right:36px}
thead th{color:var(--soft);font-size:13px;white-space:nowrap;vertical-align:bottom}
.n{text-align:right;white-space:nowrap}
td.heat{padding:6px 10px;print-color-adjust:exact;-webkit-print-color-adjust:exact}
thead th.heat{padding:6px 10px}
details{margin:4px 0}summary{cursor:pointer;color:var(--accent)}
pre{margin:6px 0;padding:10px 12px;background:var(--panel);font:12px/1.45 ui-monospace,"SF Mono",Menlo,Consolas,
"Liberation Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere}
@media(max-width:640px){
main,header,footer{padding-left:16px;padding-right:16px}header{padding-top:22px}
section{margin-top:34px}h1{font-size:22px}
.wide{display:none}.narrow{display:block}
.route{grid-template-columns:1fr}.route dd{margin-bottom:6px}
.facts{grid-template-columns:1fr 1fr;gap:16px}.facts dd:first-of-type{font-size:18px}
.slabs{gap:14px}
table.stack thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
table.fit{width:100%}table.stack tbody th{font-weight:600}
table.stack tr{display:block;padding:8px 0;border-bottom:1px solid var(--rule)}
table.stack th,table.stack td{display:block;border:0;padding:1px 0;text-align:left;white-space:normal}
table.stack td[data-name]::before{content:attr(data-name) " ";color:var(--soft)}
}
@media print{
body{font-size:11pt}main,header,footer{max-width:none;padding-left:0;padding-right:0}
section{break-inside:auto;margin-top:24px}h2,h3{break-after:avoid}figure,tr,.facts div{break-inside:avoid}
svg{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""


def style_sheet() -> str:
    """All of it. What is printed is light."""
    light, dark = LIGHT.strip(), DARK.strip()
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{RULES}"
    ).replace("\n", "")
