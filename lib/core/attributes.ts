// Which attributes of a volume are its own, and which Kubernetes adds for the driver to read.

const KUBERNETES = /^(?:csi\.)?storage\.(?:k8s|kubernetes)\.io\//;

function isKubernetesAttribute(name: string): boolean {
  return KUBERNETES.test(name);
}

/** The volume's own attributes: what stays the same from one call for it to the next. */
export function ownAttributes(attributes: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...attributes].filter(([name]) => !isKubernetesAttribute(name)));
}
