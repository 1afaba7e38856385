/** `busybox` is `busybox:latest`; a digest or a tag stays as it is. */
export function withDefaultTag(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  return name.includes(':') || name.includes('@') ? image : `${image}:latest`;
}
