"""Every relative link in the project's pages leads to a file: `links_test.py ROOT`."""

import os
import re
import subprocess
import sys


def pages(root):
    """Tracked and new pages; without git (a tarball), all there are."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "*.md"], capture_output=True,
                            text=True)
    if listed.returncode == 0 and listed.stdout:
        return listed.stdout.split()
    return [os.path.relpath(os.path.join(at, name), root) for at, _, names in os.walk(root) for name in names
            if name.endswith(".md")]


def main():
    root = os.path.realpath(sys.argv[1])
    links, broken = 0, []
    for page in pages(root):
        with open(os.path.join(root, page), encoding="utf-8") as text:
            for number, line in enumerate(text, 1):
                for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                    if re.match(r"[a-z]+:", link):
                        continue
                    links += 1
                    if not os.path.exists(os.path.join(root, os.path.dirname(page), link)):
                        broken.append(f"{page}:{number}: {link}")
    print(f"{links} links")
    print("\n".join(broken))
    return 1 if broken or not links else 0


if __name__ == "__main__":
    sys.exit(main())
