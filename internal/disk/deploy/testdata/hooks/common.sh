# What the hooks here read first, in the style of ganeti-instance-image's and written
# anew: it ends them where the interface is one that it does not know, or says too little.
log_error() { echo "$@" >&2; }

case ${OS_API_VERSION:-5} in
10 | 15) ;;
*) log_error "version ${OS_API_VERSION:-5} of the interface is not known here"; exit 1 ;;
esac
for name in INSTANCE_NAME HYPERVISOR DISK_COUNT DISK_0_PATH NIC_COUNT TARGET BLOCKDEV ROOT_DEV IMAGE_TYPE; do
  if [ -z "${!name}" ]; then
    log_error "$name is not set"
    exit 1
  fi
done
short=${INSTANCE_NAME%%.*}
