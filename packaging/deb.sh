#!/bin/sh
# deb.sh VERSION ROOT FILE - makes a Debian package of what was installed below ROOT (PREFIX=/usr).
set -eu
version=$1 root=$2 file=$3
binary=$root/usr/bin/mailruled

# What the binary's libraries belong to, with the versions they need; without dpkg-dev, the packages alone.
dependencies() {
    if command -v dpkg-shlibdeps >/dev/null; then
        work=$(mktemp -d)
        mkdir "$work/debian"
        printf 'Source: mailruled\n\nPackage: mailruled\nArchitecture: any\n' >"$work/debian/control"
        cp "$binary" "$work/mailruled"
        (cd "$work" && dpkg-shlibdeps -O mailruled 2>/dev/null) | sed 's/^shlibs:Depends=//'
        rm -rf "$work"
    else
        ldd "$binary" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | while read -r library; do
            dpkg-query -S "$(readlink -f "$library")" 2>/dev/null
        done | sed 's/:.*//' | sort -u | paste -s -d, | sed 's/,/, /g'
    fi
}

rm -rf "$root/DEBIAN"
mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: mailruled
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: The mailruled maintainers <maintainers@mailruled.invalid>
Section: mail
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f 1)
Depends: $(dependencies), ca-certificates, passwd
Description: watches IMAP folders and runs rules over every new message
 It moves, copies and flags messages on the server and posts them to webhooks,
 as rules in Lua say. Every decision is journaled before it is carried out.
CONTROL
cat >"$root/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    getent passwd mailruled >/dev/null ||
        useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin mailruled
    [ ! -d /run/systemd/system ] || systemctl daemon-reload || true
fi
SCRIPT
cat >"$root/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now mailruled.service || true
fi
SCRIPT
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"
find "$root" -type d -exec chmod 755 {} +
# Where Debian's zsh looks.
mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
dpkg-deb --root-owner-group --build "$root" "$file" >/dev/null
echo "$file"
