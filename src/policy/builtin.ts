/** The policies that are always there (contract 4.3). */
import { parsePolicy } from './parse.ts'
import type { Policy } from './policy.ts'

/** Everything; alone in its token, has no text. */
export const rootPolicy: Policy = {
  name: 'root',
  rules: [],
  isRoot: true,
  isTemplated: false,
  warnings: [],
}

const responseWrappingPolicyText = `# The content of one wrapped response.
path "cubbyhole/response" {
  capabilities = ["create", "read"]
}

path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
`

/** What a wrapping token may do; neither assignable nor editable. */
export const responseWrappingPolicy: Policy = parsePolicy(
  'response-wrapping',
  responseWrappingPolicyText,
)

/** The first text of the `default` policy: it can be edited, not deleted. */
export const defaultPolicyText: string = `# A token sees, renews and ends itself.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# It asks what it may do.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# Its holder reads the own identity.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# Whoever knows the id of a lease looks it up and renews it.
path "sys/leases/lookup" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/renew" {
  capabilities = ["update"]
}

# Each token has a cubbyhole that no other token sees.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Wrapping is for everybody.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# So are hashes of text.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# Logins elsewhere by this server's identities.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
`
