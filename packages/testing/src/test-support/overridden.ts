/** `inner` with some members replaced; the others run on `inner` itself, whatever private state they use. */
export function overridden<Target extends object>(inner: Target, members: Partial<Target>): Target {
  return new Proxy(inner, {
    get(target, name) {
      if (name in members) return members[name as keyof Target];
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
