/** What systemd-journald is told of a container with each line of its output: Docker's fields, moby, daemon/logger/journald. Pure. */
import type {ContainerConfig} from './container-config.js';

/** sd_journal_send(3) */
export const JOURNAL_SOCKET = '/run/systemd/journal/socket';

/**
 * As the journal's protocol has them: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
 * @param attributes chosen labels and variables, and the tag, by their own names
 */
export function journalFields(
  {id, name, image}: Pick<ContainerConfig, 'id' | 'name' | 'image'>,
  {tag = id.slice(0, 12), ...attributes}: Readonly<Record<string, string>>,
): Buffer {
  const own = Object.entries(attributes)
    .map(([key, value]) => [fieldName(key), value] as const)
    .filter(([key]) => key !== '');
  const fields = {
    ...Object.fromEntries(own),
    CONTAINER_ID: id.slice(0, 12),
    CONTAINER_ID_FULL: id,
    CONTAINER_NAME: name,
    CONTAINER_TAG: tag,
    IMAGE_NAME: image.reference,
    SYSLOG_IDENTIFIER: tag,
  };
  return Buffer.concat(Object.entries(fields).map(([key, value]) => field(key, value)));
}

/** Capitals, digits and underscores, none of these first: others would be the journal's own. */
function fieldName(name: string): string {
  return name
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, '_')
    .replace(/^_+/, '');
}

/** A value with a newline comes with its length. */
function field(key: string, value: string): Buffer {
  if (!value.includes('\n')) return Buffer.from(`${key}=${value}\n`);
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([Buffer.from(`${key}\n`), length, bytes, Buffer.from('\n')]);
}
