/** A mount as the API shows it (contract 2.2). */
import type { Mount, MountConfig } from '../../mount/mount-table.ts'

const BUILTIN_VERSION = 'v1.0.0+builtin.postern'

/** Types that every server has: they carry no deprecation status. */
const CORE_TYPES = new Set(['system', 'cubbyhole', 'token', 'identity'])

export function mountView(mount: Mount): Record<string, unknown> {
  return {
    accessor: mount.accessor,
    config: configView(mount.config),
    ...(CORE_TYPES.has(mount.type) ? {} : { deprecation_status: 'supported' }),
    description: mount.description,
    external_entropy_access: mount.externalEntropyAccess,
    local: mount.local,
    options: mount.options,
    plugin_version: '',
    running_plugin_version: BUILTIN_VERSION,
    running_sha256: '',
    seal_wrap: mount.sealWrap,
    type: mount.type,
    uuid: mount.uuid,
  }
}

function configView(config: MountConfig): Record<string, unknown> {
  return {
    default_lease_ttl: config.defaultLeaseTtl,
    force_no_cache: config.forceNoCache,
    max_lease_ttl: config.maxLeaseTtl,
    ...tunedView(config),
  }
}

/** The settings that are shown only where they are set. */
export function tunedView(config: MountConfig): Record<string, unknown> {
  const view: Record<string, unknown> = {}
  const show = (name: string, value: unknown) => {
    if (value !== undefined) view[name] = value
  }
  show('allowed_response_headers', config.allowedResponseHeaders)
  show('audit_non_hmac_request_keys', config.auditNonHmacRequestKeys)
  show('audit_non_hmac_response_keys', config.auditNonHmacResponseKeys)
  show('listing_visibility', config.listingVisibility)
  show('passthrough_request_headers', config.passthroughRequestHeaders)
  show('token_type', config.tokenType)
  return view
}

/** `userpass/` for `auth/userpass/`, and secrets engines as they are. */
export function shownPath(mount: Mount): string {
  return mount.class === 'auth' ? mount.path.slice('auth/'.length) : mount.path
}
