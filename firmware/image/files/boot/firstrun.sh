#!/bin/sh
# First boot of a Coldkeep device on Raspberry Pi OS: installs the agent from the boot
# partition, gives it a data partition, makes the system read-only, and restarts. It
# needs no network and may be cut at any point: it runs again until its last line.
# ROOT is the system's root; tests give another.
set -eu
ROOT=${ROOT:-}
BOOT=$ROOT/boot/firmware
[ -d "$BOOT" ] || BOOT=$ROOT/boot
FROM=$BOOT/coldkeep

# 1. The data partition grows over the rest of the card. It is the third; sfdisk and
# resize2fs do nothing the second time.
DATA=$(blkid -L coldkeep-data || true)
if [ -n "$DATA" ]; then
	DISK=/dev/$(lsblk -no PKNAME "$DATA")
	echo ', +' | sfdisk --no-reread --force -N 3 "$DISK" || true
	partx -u "$DISK" || true
	e2fsck -fp "$DATA" || [ $? -lt 4 ]
	resize2fs "$DATA"
fi

# 2. Mounts. ext4 with data=ordered, its default, is what SQLite's promise needs. The
# root and the boot partition are mounted read-only from the next boot on.
FSTAB=$ROOT/etc/fstab
mkdir -p "$ROOT/var/lib/coldkeep-agent" "$ROOT/var/lib/coldkeep-system"
if ! grep -q coldkeep-data "$FSTAB"; then
	awk '$1 !~ /^#/ && ($2 == "/" || $2 == "/boot" || $2 == "/boot/firmware") { $4 = $4 ",ro" } { print }' "$FSTAB" > "$FSTAB.new"
	cat >> "$FSTAB.new" <<'TAB'
LABEL=coldkeep-data /var/lib/coldkeep-system ext4 defaults,noatime,data=ordered,errors=remount-ro,x-systemd.device-timeout=30s 0 2
/var/lib/coldkeep-system/agent /var/lib/coldkeep-agent none bind,x-systemd.requires-mounts-for=/var/lib/coldkeep-system 0 0
/var/lib/coldkeep-system/timesync /var/lib/systemd/timesync none bind,nofail,x-systemd.requires-mounts-for=/var/lib/coldkeep-system 0 0
/var/lib/coldkeep-system/network /var/lib/NetworkManager none bind,nofail,x-systemd.requires-mounts-for=/var/lib/coldkeep-system 0 0
tmpfs /tmp tmpfs nosuid,nodev,size=32M 0 0
tmpfs /var/tmp tmpfs nosuid,nodev,size=16M 0 0
tmpfs /var/log tmpfs nosuid,nodev,size=16M 0 0
TAB
	sync
	mv "$FSTAB.new" "$FSTAB"
fi
if [ -n "$DATA" ]; then
	mountpoint -q "$ROOT/var/lib/coldkeep-system" || mount "$DATA" "$ROOT/var/lib/coldkeep-system"
fi
for d in agent timesync network; do mkdir -p "$ROOT/var/lib/coldkeep-system/$d"; done
mkdir -p "$ROOT/var/lib/systemd/timesync" "$ROOT/var/lib/NetworkManager"

# 3. The agent, with what this card was made for.
dpkg -i "$FROM"/coldkeep-agent_*.deb
chown coldkeep:coldkeep "$ROOT/var/lib/coldkeep-system/agent"
chmod 0750 "$ROOT/var/lib/coldkeep-system/agent"
for f in agent.env update.pub; do
	if [ -f "$FROM/$f" ]; then
		cp "$FROM/$f" "$ROOT/etc/coldkeep-agent/$f"
		chmod 0644 "$ROOT/etc/coldkeep-agent/$f"
	fi
done

# 4. What would write to the card, wait for a person, or cost memory.
for unit in userconfig.service systemd-random-seed.service dphys-swapfile.service rpi-zram-writeback.timer \
	apt-daily.timer apt-daily-upgrade.timer man-db.timer dpkg-db-backup.timer logrotate.timer e2scrub_all.timer ModemManager.service triggerhappy.service; do
	systemctl mask "$unit" || true
done
ln -sfn /run/NetworkManager/resolv.conf "$ROOT/etc/resolv.conf"
if [ -f "$ROOT/etc/default/fake-hwclock" ]; then
	echo 'FILE=/var/lib/coldkeep-system/fake-hwclock.data' >> "$ROOT/etc/default/fake-hwclock"
fi

# 5. The kernel is not told to run this any more, and to mount the root read-only.
sed -e 's| systemd\.[^ ]*||g' -e 's| r[ow]\b||g' -e 's| fsck\.repair=[^ ]*||g' -e 's| panic=[^ ]*||g' "$BOOT/cmdline.txt" | awk 'NR == 1 { print $0 " ro fsck.repair=yes panic=10" }' > "$BOOT/cmdline.new"
sync
mv "$BOOT/cmdline.new" "$BOOT/cmdline.txt"
sync
