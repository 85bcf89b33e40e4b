# The functions of KIWI's config.sh that hearth has, by the names and arguments of KIWI's documentation. Which init
# system the tree has is seen by its programs.

# What is not here leaves a mark, for scripts of KIWI's go on after a failure.
command_not_found_handle() {
	case $1 in suse[A-Z]* | base[A-Z]* | Rpm) echo "$1" >>/run/hearth/missing ;; esac
	echo "$1: command not found" >&2
	return 127
}

hearthInit() {
	if [ -x /lib/systemd/systemd ] || [ -x /usr/lib/systemd/systemd ]; then echo systemd
	elif [ -x /sbin/openrc-run ] || [ -x /usr/sbin/openrc-run ]; then echo openrc
	elif command -v update-rc.d >/dev/null; then echo update-rc.d
	else echo none; fi
}

# hearthService NAME gives the name that a service has in this tree: its own, or that of Debian for one by SUSE's name. What
# is only another name of a unit, which systemctl does not enable, becomes the unit.
hearthService() {
	local name unit dir
	for name in "$1" $(case ${1%.service} in
		sshd) echo ssh ;; ssh) echo sshd ;;
		nfsserver) echo nfs-server nfs-kernel-server ;;
		nfs) echo nfs-client.target ;;
		dhcpd) echo isc-dhcp-server ;;
		cron) echo crond ;; crond) echo cron ;;
		named) echo bind9 ;;
		apache2) echo httpd ;; httpd) echo apache2 ;;
		network) echo networking ;;
		ntp | ntpd) echo ntpsec ntp ;;
	esac); do
		unit=$name
		case $unit in *.*) ;; *) unit=$unit.service ;; esac
		for dir in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
			[ -e "$dir/$unit" ] || continue
			[ "$(readlink -f "$dir/$unit")" = /dev/null ] || unit=$(basename "$(readlink -f "$dir/$unit")")
			echo "${unit%.service}"
			return
		done
		[ ! -e "/etc/init.d/$name" ] || { echo "$name"; return; }
	done
	echo "$1"
}

# suseInsertService NAME has a service started at boot.
suseInsertService() {
	local name
	name=$(hearthService "$1")
	case $(hearthInit) in
	systemd) systemctl --no-reload enable "$name" ;;
	openrc) rc-update add "$name" default ;;
	update-rc.d) update-rc.d "$name" defaults ;;
	*) echo "suseInsertService $1: the tree has no init system that is known" >&2; return 1 ;;
	esac
}

# suseRemoveService NAME has it not started.
suseRemoveService() {
	local name
	name=$(hearthService "$1")
	case $(hearthInit) in
	systemd) systemctl --no-reload disable "$name" ;;
	openrc) rc-update -a delete "$name" ;;
	update-rc.d) update-rc.d "$name" remove ;;
	*) echo "suseRemoveService $1: the tree has no init system that is known" >&2; return 1 ;;
	esac
}

# suseService NAME on|off, and the same by its later name.
suseService() {
	case $2 in
	on) suseInsertService "$1" ;;
	off) suseRemoveService "$1" ;;
	*) echo "suseService $1: want on or off" >&2; return 1 ;;
	esac
}
baseService() { suseService "$@"; }
baseInsertService() { suseInsertService "$@"; }
baseRemoveService() { suseRemoveService "$@"; }

# baseUpdateSysConfig FILE NAME VALUE changes a variable in a file of /etc/sysconfig or of its kind. One that is not there
# is not put in.
baseUpdateSysConfig() {
	[ -f "$1" ] || { echo "baseUpdateSysConfig: there is no $1" >&2; return 1; }
	grep -q "^$2=" "$1" || { echo "baseUpdateSysConfig: $1 has no $2, and is left as it is" >&2; return 0; }
	local text
	text=$(NAME=$2 LINE="$2=\"$3\"" awk 'index($0, ENVIRON["NAME"] "=") == 1 { print ENVIRON["LINE"]; next } { print }' "$1") && printf '%s\n' "$text" >"$1"
}

# baseSetRunlevel N
baseSetRunlevel() {
	if [ "$(hearthInit)" = systemd ]; then
		case $1 in
		3) ln -sf /usr/lib/systemd/system/multi-user.target /etc/systemd/system/default.target ;;
		5) ln -sf /usr/lib/systemd/system/graphical.target /etc/systemd/system/default.target ;;
		*) echo "baseSetRunlevel: systemd has no runlevel $1" >&2; return 1 ;;
		esac
	elif [ -f /etc/inittab ]; then
		sed -i "s/^id:.*:initdefault:.*/id:$1:initdefault:/" /etc/inittab
	else
		echo "baseSetRunlevel: there is no /etc/inittab" >&2; return 1
	fi
}

# What these mount in KIWI is mounted here.
baseMount() { :; }
baseCleanMount() { :; }
baseCleanup() { :; }

# Words on the log, and removal of files as a script writes it.
Echo() { echo "$@"; }
Debug() { echo "$@" >&2; }
Rm() { rm -fv -- "$@"; }

# hearthKeep FOLDER NAME... removes what a folder has besides the names.
hearthKeep() {
	local dir=$1 file name
	shift
	for file in "$dir"/*; do
		[ -e "$file" ] || continue
		for name; do [ "${file##*/}" != "$name" ] || continue 2; done
		rm -rf -- "$file"
	done
}

# baseStripLocales LOCALE... removes the locales besides these, by the names of their folders.
baseStripLocales() { hearthKeep /usr/lib/locale "$@" C.utf8 locale-archive; }

# baseStripTranslations FILE... removes the programs' translations besides these files.
baseStripTranslations() {
	local keep=() name
	for name; do keep+=(! -name "$name"); done
	[ ! -d /usr/share/locale ] || find /usr/share/locale -name '*.mo' "${keep[@]}" -delete
}

# Documentation: all of it, but the licences, which images are given away with.
baseStripDocs() { [ ! -d /usr/share/doc ] || find /usr/share/doc /usr/share/doc-base ! -type d ! -iname 'copying*' ! -iname 'copyright*' ! -iname 'licen[cs]e*' -delete 2>/dev/null || :; }
baseStripMans() { hearthKeep /usr/share/man "$@"; }
baseStripInfos() { hearthKeep /usr/share/info "$@"; }

# baseDisableCtrlAltDel has the keys not restart the machine.
baseDisableCtrlAltDel() {
	if [ "$(hearthInit)" = systemd ]; then ln -sf /dev/null /etc/systemd/system/ctrl-alt-del.target
	elif [ -f /etc/inittab ]; then sed -i '/ctrlaltdel/s/^/#/' /etc/inittab; fi
}

# baseSystemdServiceInstalled UNIT gives the name of the file of a unit, if there is one.
baseSystemdServiceInstalled() {
	local dir
	for dir in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
		[ ! -e "$dir/$1" ] || { echo "$dir/$1"; return 0; }
	done
	return 1
}
