//! A real browser, and what it says of a page.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs in the page: every text of every figure must lie inside its figure and on no other text.
const PROBE: &str = r#"<script>
document.querySelectorAll('details').forEach(d => d.open = true);
const faults = [];
const figures = [...document.querySelectorAll('figure')];
for (const figure of figures) {
  const sheet = figure.querySelector('svg').getBoundingClientRect();
  const texts = [...figure.querySelectorAll('svg text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  if (sheet.width < 200 || texts.length < 3) faults.push(figure.id + ': empty');
  texts.forEach(([name, box], i) => {
    if (box.left < sheet.left - 1 || box.right > sheet.right + 1 || box.top < sheet.top - 1 || box.bottom > sheet.bottom + 1)
      faults.push(figure.id + ': cut off: ' + name);
    for (const [other, there] of texts.slice(i + 1)) {
      const w = Math.min(box.right, there.right) - Math.max(box.left, there.left);
      const h = Math.min(box.bottom, there.bottom) - Math.max(box.top, there.top);
      if (w > 1.5 && h > 0.3 * Math.min(box.height, there.height)) faults.push(figure.id + ': ' + name + ' lies on ' + other);
    }
  });
}
const broken = [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length;
const said = document.createElement('p');
said.id = 'probe';
said.textContent = JSON.stringify({figures: figures.length, images: document.images.length, broken, faults, wide: document.body.scrollWidth > innerWidth + 1});
document.body.append(said);
</script>"#;

/// The browser there is; where there is none, it says so aloud.
pub fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok_and(|said| said.status.success()));
    if found.is_none() {
        eprintln!("SKIPPED: no chromium here; `.ci/setup.sh test` installs it on Debian");
    }
    found
}

/// Opens `page` with these arguments, and returns what the browser prints.
pub fn browse(browser: &str, profile: &Path, arguments: &[&str], page: &Path) -> String {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,2000"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(arguments).arg(page);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Opens a page in the browser and returns what the probe says of it.
pub fn probe(browser: &str, folder: &Path, page: &Path) -> serde_json::Value {
    let probed = folder.join("probed.html");
    fs::write(&probed, fs::read_to_string(page).unwrap().replace("</body>", &format!("{PROBE}</body>"))).unwrap();
    let dom = browse(browser, &folder.join("profile"), &["--virtual-time-budget=4000", "--dump-dom"], &probed);
    let said = dom.split("<p id=\"probe\">").nth(1).and_then(|rest| rest.split("</p>").next()).expect("the probe ran");
    serde_json::from_str(&said.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")).unwrap()
}
