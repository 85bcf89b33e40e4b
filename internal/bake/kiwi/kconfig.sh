# The functions of KIWI's config.sh that hearth has, by the names and arguments of KIWI's documentation. Which init
# system the tree has is seen by its programs.

# What is not here leaves a mark, for scripts of KIWI's go on after a failure.
command_not_found_handle() {
	case $1 in suse[A-Z]* | base[A-Z]*) echo "$1" >>/run/hearth/missing ;; esac
	echo "$1: command not found" >&2
	return 127
}

hearthInit() {
	if [ -x /lib/systemd/systemd ] || [ -x /usr/lib/systemd/systemd ]; then echo systemd
	elif [ -x /sbin/openrc-run ] || [ -x /usr/sbin/openrc-run ]; then echo openrc
	elif command -v update-rc.d >/dev/null; then echo update-rc.d
	else echo none; fi
}

# suseInsertService NAME has a service started at boot.
suseInsertService() {
	case $(hearthInit) in
	systemd) systemctl --no-reload enable "$1" ;;
	openrc) rc-update add "$1" default ;;
	update-rc.d) update-rc.d "$1" defaults ;;
	*) echo "suseInsertService $1: the tree has no init system that is known" >&2; return 1 ;;
	esac
}

# suseRemoveService NAME has it not started.
suseRemoveService() {
	case $(hearthInit) in
	systemd) systemctl --no-reload disable "$1" ;;
	openrc) rc-update -a delete "$1" ;;
	update-rc.d) update-rc.d "$1" remove ;;
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

# baseUpdateSysConfig FILE NAME VALUE sets a variable in a file of /etc/sysconfig or of its kind.
baseUpdateSysConfig() {
	[ -f "$1" ] || { echo "baseUpdateSysConfig: there is no $1" >&2; return 1; }
	local line
	line="$2=\"$3\""
	if grep -q "^$2=" "$1"; then
		local text
		text=$(NAME=$2 LINE=$line awk 'index($0, ENVIRON["NAME"] "=") == 1 { print ENVIRON["LINE"]; next } { print }' "$1") && printf '%s\n' "$text" >"$1"
	else
		printf '%s\n' "$line" >>"$1"
	fi
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
