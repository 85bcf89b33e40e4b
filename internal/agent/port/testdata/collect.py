"""What cloud-init's OpenStack source does when it has an address: wait for the service, then read everything. Three times."""
import json
import time

from cloudinit import url_helper, version
from cloudinit.sources import DataSourceOpenStack as source

ADDRESS = "http://169.254.169.254"
seconds = []
for _ in range(3):
    start = time.monotonic()
    url_helper.wait_for_url(urls=[ADDRESS + "/openstack"], max_wait=10, timeout=10, connect_synchronously=False)
    found = source.read_metadata_service(ADDRESS)
    seconds.append(time.monotonic() - start)
print(json.dumps({
    "seconds": seconds,
    "hostname": found["metadata"]["local-hostname"],
    "user_data": found["userdata"].decode(),
    "ec2": found["ec2-metadata"]["hostname"],
    "version": version.version_string(),
}))
