"""What people do with hvac, from an empty server on. Arguments: the server's address, a public key's file."""
import sys

import hvac
from hvac import exceptions

ADDRESS, KEY_FILE = sys.argv[1:]
ROLE = {"key_type": "otp", "default_user": "ubuntu", "cidr_list": "10.0.0.0/8"}
POLICY = 'path "ssh/creds/otp" { capabilities = ["update"] }'


def refusal(kind, work):
    try:
        work()
    except kind as error:
        return str(error)
    raise AssertionError(f"{kind.__name__} was expected")


def done(step):
    print(step)


client = hvac.Client(url=ADDRESS)
assert not client.sys.is_initialized()
assert client.sys.read_health_status(method="GET").status_code == 501
keys = client.sys.initialize(secret_shares=3, secret_threshold=2)
assert client.sys.is_sealed()
client.sys.submit_unseal_key(keys["keys"][0])
assert client.sys.read_seal_status()["progress"] == 1
client.sys.submit_unseal_keys(keys["keys"][1:2])
assert not client.sys.is_sealed()
done("init and unseal")

client.token = keys["root_token"]
assert client.is_authenticated()
client.sys.enable_secrets_engine("ssh", path="ssh", description="boxes")
mounts = client.sys.list_mounted_secrets_engines()["data"]
assert mounts["ssh/"]["description"] == "boxes", mounts
client.sys.tune_mount_configuration("ssh", default_lease_ttl="1h", max_lease_ttl="24h")
assert client.sys.read_mount_configuration("ssh")["data"]["default_lease_ttl"] == 3600
client.sys.move_backend("ssh", "moved")
client.sys.move_backend("moved", "ssh")
done("mounts")

client.write("ssh/config/ca", generate_signing_key=True, key_type="ed25519")
client.write(
    "ssh/roles/ca",
    key_type="ca",
    allow_user_certificates=True,
    allowed_users="ubuntu",
    default_user="ubuntu",
    default_extensions={"permit-pty": ""},
    ttl="30m",
)
with open(KEY_FILE, encoding="ascii") as file:
    signed = client.write("ssh/sign/ca", public_key=file.read(), valid_principals="ubuntu")
assert signed["data"]["signed_key"].startswith("ssh-ed25519-cert-v01@openssh.com ")
assert client.read("ssh/config/ca")["data"]["public_key"].startswith("ssh-ed25519 ")
denied = refusal(
    exceptions.InvalidRequest, lambda: client.write("ssh/sign/ca", public_key="nonsense")
)
assert "public_key" in denied, denied
done("certificates")

client.write("ssh/roles/otp", **ROLE)
assert client.list("ssh/roles")["data"]["keys"] == ["ca", "otp"]
assert client.read("ssh/roles/otp")["data"]["default_user"] == "ubuntu"
assert client.read("ssh/roles/none") is None
password = client.write("ssh/creds/otp", ip="10.0.0.7")
assert client.sys.read_lease(password["lease_id"])["data"]["id"] == password["lease_id"]
stranger = hvac.Client(url=ADDRESS)
otp = password["data"]["key"]
assert stranger.write("ssh/verify", otp=otp)["data"]["ip"] == "10.0.0.7"
refusal(exceptions.InvalidRequest, lambda: stranger.write("ssh/verify", otp=otp))
second = client.write("ssh/creds/otp", ip="10.0.0.8")
client.sys.revoke_lease(second["lease_id"])
client.write("ssh/creds/otp", ip="10.0.0.9")
assert len(client.sys.list_leases("ssh/creds/otp/")["data"]["keys"]) == 1
client.sys.revoke_prefix("ssh/creds/otp")
refusal(exceptions.InvalidPath, lambda: client.sys.list_leases("ssh/creds/otp/"))
done("one-time passwords")

client.sys.create_or_update_policy("otp", POLICY)
assert "otp" in client.sys.list_policies()["data"]["policies"]
assert client.sys.read_policy("otp")["data"]["rules"] == POLICY
made = client.auth.token.create(policies=["otp"], ttl="1h", explicit_max_ttl="2h")["auth"]
assert made["token_policies"] == ["default", "otp"], made
user = hvac.Client(url=ADDRESS, token=made["client_token"])
user.write("ssh/creds/otp", ip="10.1.1.1")
refusal(exceptions.Forbidden, lambda: user.read("ssh/roles/otp"))
assert user.sys.get_capabilities(["ssh/creds/otp"])["data"]["ssh/creds/otp"] == ["update"]
assert user.auth.token.lookup_self()["data"]["accessor"] == made["accessor"]
assert user.auth.token.renew_self(increment="30m")["auth"]["lease_duration"] == 1800
assert client.auth.token.lookup_accessor(made["accessor"])["data"]["policies"] == ["default", "otp"]
assert made["accessor"] in client.auth.token.list_accessors()["data"]["keys"]
client.auth.token.revoke_accessor(made["accessor"])
refusal(exceptions.Forbidden, lambda: user.auth.token.lookup_self())
orphan = client.auth.token.create(policies=["otp"], no_parent=True)["auth"]
client.auth.token.revoke(orphan["client_token"])
client.sys.delete_policy("otp")
refusal(exceptions.InvalidPath, lambda: client.sys.read_policy("otp"))
done("policies and tokens")

wrapped = client.write("ssh/creds/otp", ip="10.0.0.7", wrap_ttl="60s")["wrap_info"]
opened = hvac.Client(url=ADDRESS).sys.unwrap(wrapped["token"])
assert opened["data"]["ip"] == "10.0.0.7"
refusal(
    exceptions.InvalidRequest, lambda: hvac.Client(url=ADDRESS).sys.unwrap(wrapped["token"])
)
done("wrapping")

devices = client.sys.list_enabled_audit_devices()["data"]
digest = client.sys.calculate_hash(list(devices)[0].rstrip("/"), "text")["data"]["hash"]
assert digest.startswith("hmac-sha256:")
assert client.sys.read_leader_status()["ha_enabled"] is False
client.sys.rotate_encryption_key()
assert client.sys.get_encryption_key_status()["data"]["term"] == 2
rekey = client.sys.start_rekey(secret_shares=1, secret_threshold=1)
answer = client.sys.rekey_multi(keys["keys"][:2], nonce=rekey["nonce"])
assert answer["complete"], answer
new_key = answer["keys"][0]
client.sys.disable_secrets_engine("ssh")
assert "ssh/" not in client.sys.list_mounted_secrets_engines()["data"]
client.sys.seal()
assert client.sys.is_sealed()
client.sys.submit_unseal_key(new_key)
assert not client.sys.is_sealed()
done("operating")
